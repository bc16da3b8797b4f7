"""Workers that kill themselves with SIGKILL at chosen moments, as processes of their own.

Importing torch takes seconds, so one process imports everything and forks the workers. It reads
the folder of a registry for each moment from standard input. For each it starts a worker that dies
then, and one that goes on, and prints their exit codes. A worker is `requests run --once`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

BEFORE, AFTER = "before", "after"
FOLDER, LOOP = "erasekit.runs.run_folder:RunFolder", "erasekit.loop:_save"
#: By moment: a function, the entry that is being written or was written last, and on which side
#: of the call the worker dies.
MOMENTS: dict[str, tuple[str, str, str]] = {
    "inside the transaction": ("transaction", "run", ""),
    "after the log has the run": ("erasekit.requests.entry_store:EntryStore.add", "run", AFTER),
    "after a checkpoint": (LOOP, "", AFTER),
    "after the run is published": (f"{FOLDER}.publish", "", AFTER),
    "after the log has the model": ("erasekit.requests.entry_store:EntryStore.add", "made", AFTER),
    "after the certificate": ("erasekit.requests.making:certify", "", AFTER),
    "before the aliases": (
        "erasekit.requests.registry_folder:Registry._write_aside",
        "verify",
        BEFORE,
    ),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(moment: str) -> None:
    """Let this process die at a moment."""
    place, what, side = MOMENTS[moment]
    if place == "transaction":
        from sqlalchemy import Engine, event

        def between(connection: Any, cursor: Any, statement: str, *_: object) -> None:
            if statement.startswith("INSERT INTO entries"):
                die()

        event.listen(Engine, "after_cursor_execute", between)
        return
    module, _, path = place.partition(":")
    owner: Any = import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    real = getattr(owner, name)

    def dying(*given: Any, **more: Any) -> Any:
        here = not what or entry_of(*given[:2]) == what
        if here and side == BEFORE:
            die()
        done = real(*given, **more)
        if here:
            die()
        return done

    setattr(owner, name, dying)


def entry_of(writer: Any, decide: Callable | None = None) -> str:
    """The kind of the entry that a store is about to write, or that a registry wrote last."""
    if decide is not None:
        return decide(writer.read().book)["what"]
    return writer.log.entries[-1]["what"]


def worker(folder: str, moment: str = "") -> int:
    """Start a worker, and return its process id."""
    from erasekit.cli.app import run

    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        if moment:
            arm(moment)
        os._exit(run(["requests", "run", folder, "--once"]))
    return child


def end(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    from erasekit.runs import figures

    figures.write_figures = lambda *_: []  # type: ignore[assignment]
    ended = {}
    for moment, folder in json.load(sys.stdin).items():
        if moment in MOMENTS:
            ended[moment] = [end(worker(folder, moment)), end(worker(folder))]
        else:  # two at once
            ended[moment] = [end(child) for child in (worker(folder), worker(folder))]
    print(json.dumps(ended))


if __name__ == "__main__":
    main()
