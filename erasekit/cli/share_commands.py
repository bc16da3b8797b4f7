"""`export`: export a model to share it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from erasekit.errors import UsageError


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path, typer.Option(help="Folder to write, e.g. given/fruit.")],
    push: Annotated[
        str | None,
        typer.Option(metavar="hf-hub:ORG/NAME", help="Also upload it there, readable by you."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="With --push: everyone may read it.")
    ] = False,
) -> None:
    """Export a run's model: a folder that plain open_clip loads, with a model card.

    \b
    Examples:
      erasekit export runs/fruit --out given/fruit
      erasekit export runs/fruit --out given/fruit --push hf-hub:ORG/NAME

    The card, README.md, states what was erased and how, the measures with their intervals, the
    cost, the results of audit and certificate if the run has them, and the limits.
    """
    from erasekit.sharing.export import check_token, parse_repository
    from erasekit.sharing.export import export as write
    from erasekit.sharing.export import push as upload

    if public and push is None:
        raise UsageError("--public goes with --push only")
    repository = parse_repository(push) if push is not None else None
    if repository:
        check_token()
    folder = write(run, out, repository=repository)
    typer.echo(f"model and card: {folder}")
    if repository:
        typer.echo(f"uploaded: {upload(folder, repository, public=public)}")
