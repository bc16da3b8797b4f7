"""Options for where a command runs its work: in this process, or on the workers of a cluster."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from erasekit.cli.settings_options import with_options
from erasekit.errors import UsageError

DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what would run, what is there, and how long it takes."),
]


def with_workers(command: Callable) -> Callable:
    """Add these options to a command, which gets one `Workers` as its parameter `team`.

    A wrong address is refused before the command begins, unless it is a dry run.
    """
    options = inspect.signature(_team, eval_str=True).parameters

    def run(**given: Any) -> Any:
        team = _team(**{name: given.pop(name) for name in options})
        if team.scheduler and not given["dry_run"]:
            from erasekit.cluster import reach

            reach(team.scheduler)  # at once: what a command imports takes seconds
        return command(team=team, **given)

    return with_options(run, command, options.values(), instead_of="team")


def _team(
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Processes of a local Dask cluster: one per core by default. 1 needs no Dask.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A running Dask cluster in place of a local one, such as tcp://10.0.0.5:8786.",
            show_default=False,
        ),
    ] = None,
    memory: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="The most memory of a local worker, such as 4GiB; a larger one is restarted.",
            show_default=False,
        ),
    ] = "",
    threads: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Processor threads of a worker; results repeat exactly at equal threads.",
        ),
    ] = 1,
) -> Any:
    from erasekit.cluster import Workers  # not needed for the help

    if scheduler == "":  # as from a file that does not hold the address yet
        raise UsageError("--scheduler is empty: give an address such as tcp://10.0.0.5:8786")
    return Workers(workers, scheduler or "", memory, threads)
