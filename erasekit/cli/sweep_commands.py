"""`sweep`: run one notebook with every combination of parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from erasekit.cli.worker_options import DryRunOption, with_workers
from erasekit.errors import UsageError

if TYPE_CHECKING:
    from erasekit.cluster import Workers


@with_workers
def sweep(
    notebook: Annotated[
        list[str],
        typer.Argument(metavar="NOTEBOOK", help="A file, or the number of a notebook of the kit."),
    ],
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES ...",
            help="Values joined by commas, or a range such as seed=0..4.",
        ),
    ] = None,
    grid_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same as YAML: `seed: [0, 1]`.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="Run and show only runs with these values; repeatable.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder with one run folder for each run.")] = Path(
        "runs/sweep"
    ),
    *,
    team: Workers,
    dry_run: DryRunOption = False,
) -> None:
    """Run one notebook with every combination of parameters, and compare the runs on a page.

    \b
    Examples:
      erasekit sweep 06 --grid forget=fruit,bird seed=0..4
      erasekit sweep 06 --grid-file grid.yaml --where forget=bird --dry-run
      erasekit sweep mine.ipynb --grid seed=0..99 --scheduler tcp://10.0.0.5:8786

    The same command resumes an interrupted sweep, and repeats failed runs.
    """
    # Words after `--grid forget=fruit` are also positional; a notebook's name has no "=".
    names = [word for word in notebook if "=" not in word or word.endswith(".ipynb")]
    if len(names) != 1:
        raise UsageError(f"give one notebook, not {len(names)}: erasekit sweep NOTEBOOK --grid ...")
    from erasekit.tutorial.grid import read_words, read_yaml
    from erasekit.tutorial.sweep import plan_sweep, run_sweep

    words = [*(grid or []), *(word for word in notebook if word not in names)]
    plan = plan_sweep(
        names[0],
        {**read_yaml(grid_file), **read_words(words, "--grid")},
        out,
        where=read_words(where or [], "--where"),
        threads=team.threads,
    )
    if dry_run:
        typer.echo(plan.outlook(team))
    else:
        typer.echo(f"page: {run_sweep(plan, team)}")
