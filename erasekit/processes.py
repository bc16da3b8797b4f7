"""Ending what was started: no process stays behind when its parent gives up."""

from __future__ import annotations

import multiprocessing


def end_children(patience: float = 10.0) -> None:
    """End every process that `multiprocessing` started from here.

    Args:
        patience: seconds that each has for ending its own affairs (papermill takes its kernel
            down) before it is killed; a kernel without a parent ends itself.
    """
    children = multiprocessing.active_children()
    for process in children:
        process.terminate()
    for process in children:
        process.join(patience)
        if process.is_alive():
            process.kill()
