"""Options for where a command runs its work: in this process, or on the workers of a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        help="Processes of a local Dask cluster: one per core by default. 1 needs no Dask.",
        show_default=False,
    ),
]
SchedulerOption = Annotated[
    str,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="A running Dask cluster in place of a local one, such as tcp://10.0.0.5:8786.",
        show_default=False,
    ),
]
MemoryOption = Annotated[
    str,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="The most memory of a local worker, such as 4GiB; one that needs more is restarted.",
        show_default=False,
    ),
]
ThreadsOption = Annotated[
    int,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        help="Processor threads of a worker; results repeat exactly at equal threads.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what would run, what is there, and how long it takes."),
]
