"""`tutorial`: run the notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from erasekit.cli.settings_options import setting_option
from erasekit.errors import UsageError
from erasekit.settings import make_settings


def tutorial(
    profile: Annotated[str, setting_option("profile")] = "default",
    out: Annotated[Path, typer.Option(help="Folder for the executed notebooks.")] = Path(
        "runs/tutorial"
    ),
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NN", help="One notebook by its number, e.g. 03; repeatable."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Notebooks run in parallel: 2 in smoke, else 1, since run times are results "
            "there.",
            show_default=False,
        ),
    ] = None,
    write_reference: Annotated[
        bool,
        typer.Option(
            "--write-reference",
            help="Save the results as the committed reference of this profile.",
        ),
    ] = False,
) -> None:
    """Run every notebook in order, and write a page with all of them.

    \b
    Examples:
      erasekit tutorial                    about 35 minutes on two CPU cores
      erasekit tutorial --profile smoke    about 5 minutes, with a smaller world
      erasekit tutorial --only 03          one notebook

    At the end, the results are compared with the committed reference.
    """
    make_settings(profile)
    if only and write_reference:
        raise UsageError("--write-reference takes every notebook: leave --only out")
    from erasekit.tutorial.sequence import run_tutorial

    # With parameters, the results are not compared with the reference: right when they are to
    # become the reference.
    parameters = {"profile": profile} if write_reference else None
    code = run_tutorial(profile=profile, out=out, only=only, parameters=parameters, jobs=jobs)
    if write_reference and code == 0:
        from erasekit.tutorial import reference

        typer.echo(f"reference: {reference.write_reference(profile, out)}")
    raise typer.Exit(code)
