"""A Dask cluster on this machine, whose processes leave Ctrl-C to the process that started it."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from erasekit.errors import UsageError, reason
from erasekit.extras import needed


@contextmanager
def local_cluster(processes: int, memory: str) -> Iterator[Any]:
    """Start a Dask cluster on this machine, and stop it with all its processes.

    Raises:
        UsageError: when `memory` is no size, or Dask is missing.
    """
    distributed = needed("distributed", "cluster", "more than one worker")
    from dask import config

    be_quiet()
    try:
        # No unit waits at a worker, which another one there may end.
        with _no_ctrl_c(), config.set({"distributed.scheduler.worker-saturation": 1.0}):
            local = distributed.LocalCluster(
                n_workers=processes,
                threads_per_worker=1,
                memory_limit=memory or "auto",
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                preload=[__name__, *config.get("distributed.worker.preload")],  # `dask_setup`
            )
    except (ValueError, TypeError) as error:
        raise UsageError(f"--memory {memory}: {reason(error)}; give a size such as 4GiB") from error
    try:
        yield local
    finally:
        with _no_ctrl_c():
            local.close()


@contextmanager
def _no_ctrl_c() -> Iterator[None]:
    """Ignore Ctrl-C while workers start or stop, so that they do so whole."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the process that the user started; Dask calls this in local workers."""
    signal.signal(signal.SIGINT, lambda *_: None)


def be_quiet() -> None:
    """Silence Dask's logs of connections; the pool reports problems in one line."""
    for name in ("bokeh", "tornado", "distributed", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("bokeh", "tornado", "distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
