"""`benchmark`, also called `leaderboard run`: compare every method on the same tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from erasekit.cli.worker_options import DryRunOption, with_workers
from erasekit.errors import UsageError

if TYPE_CHECKING:
    from erasekit.cluster import Workers


@with_workers
def benchmark(
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help="Joined by commas, or all; see `list methods`.")
    ] = "all",
    tasks: Annotated[
        str, typer.Option(metavar="NAMES", help="Joined by commas, or all; see `list tasks`.")
    ] = "all",
    seeds: Annotated[str, typer.Option(metavar="N N ...", help="Seeds of the tests.")] = "0 1 2",
    profile: Annotated[
        str, typer.Option(metavar="PROFILE", help="benchmark, or smoke for a short look.")
    ] = "benchmark",
    out: Annotated[
        Path, typer.Option(help="File of results; recorded results are not run again.")
    ] = Path("runs/benchmark.jsonl"),
    page: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write leaderboard.md with its pictures there."),
    ] = None,
    *,
    team: Workers,
    dry_run: DryRunOption = False,
) -> None:
    """Compare every method with three oracles on the same tasks, with the same tuning budget.

    \b
    Examples:
      erasekit benchmark --methods all --tasks all --seeds 0 1 2     hours; resumable
      erasekit benchmark --methods cliperase,munba --tasks one_group --seeds 0
      erasekit benchmark --scheduler tcp://10.0.0.5:8786             on a Dask cluster

    Each method's settings are chosen on validation data for each task, then tested once per
    seed. Results are appended as they come: the same command resumes an interrupted run.
    `erasekit leaderboard run` is the same command.
    """
    from erasekit.leaderboard.plan import pick_methods, pick_tasks

    chosen = pick_methods(_names(methods))
    asked = [task.name for task in pick_tasks(profile, _names(tasks))]
    numbers = _seeds([*seeds.replace(",", " ").split(), *(more or [])])
    from erasekit.leaderboard.run import outlook, plan_units, run_benchmark
    from erasekit.leaderboard.summary import summary_text

    if dry_run:
        units = plan_units(profile, chosen, asked, numbers, threads=team.threads)
        typer.echo(outlook(units, out, team))
        return
    records = run_benchmark(profile, chosen, asked, numbers, out, workers=team)
    typer.echo(summary_text(records.read()))
    typer.echo(f"results: {out}")
    if page is not None:
        from erasekit.leaderboard.page import write_leaderboard

        typer.echo(f"page: {write_leaderboard(records.read(), page)}")


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("name at least one, or say all")
    return names


def _seeds(words: Sequence[str]) -> list[int]:
    for word in words:
        if not word.isdecimal():
            raise UsageError(f"--seeds {word}: give whole numbers from 0, such as --seeds 0 1 2")
    if not words:
        raise UsageError("--seeds is empty: give whole numbers from 0, such as --seeds 0 1 2")
    return list(dict.fromkeys(map(int, words)))
