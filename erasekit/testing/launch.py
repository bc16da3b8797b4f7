"""Start a group of distributed processes, as a launcher does."""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


def start(work: Callable[..., Any], folder: Path, *arguments: Any, count: int = 2) -> list[Any]:
    """Run ``work(folder, *arguments)`` in a group of `count` distributed processes.

    They are forked from a server that has imported everything once. A process that fails writes
    its error to ``error-<rank>.txt``.

    Returns:
        The exit codes by rank.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["erasekit.experiment.clip_experiment", "accelerate", "numpy.testing"]
    )
    port, found = free_port(), []
    for rank in range(count):
        variables = {
            **{name: os.environ[name] for name in _SHARED if name in os.environ},
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
        }
        process = context.Process(target=_run, args=(variables, work, folder, *arguments))
        process.start()
        found.append(process)
    for process in found:
        process.join(120)
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in found]


_SHARED = ("ERASEKIT_CACHE", "ERASEKIT_PROGRESS")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _run(variables: dict[str, str], work: Callable[..., Any], folder: Path, *arguments: Any):
    os.environ.update(variables)
    try:
        work(folder, *arguments)
    except Exception:
        (folder / f"error-{variables['RANK']}.txt").write_text(traceback.format_exc())
        raise
