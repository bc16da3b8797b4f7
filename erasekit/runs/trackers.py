"""Experiment trackers for a run: any tracker that `accelerate` supports, by name.

Only runs with a tracker import `accelerate`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from erasekit.errors import RunError, UsageError, reason, unknown
from erasekit.settings import Settings

Log = Callable[[dict[str, float]], None]


def check_trackers(names: str) -> list[str]:
    """Parse the names of trackers, joined by commas; each must be known and installed.

    Raises:
        UsageError: for an unknown or missing tracker, or without `accelerate`.
    """
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if not wanted:
        return []
    try:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
    except ImportError as error:
        raise UsageError(
            f"trackers = {names}: needs accelerate: pip install 'erasekit[scale]'"
        ) from error
    installed = [str(name) for name in get_available_trackers()]
    for name in wanted:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise unknown("tracker", name, LOGGER_TYPE_TO_CLASS)
        if name not in installed:
            raise UsageError(f"tracker '{name}' is not installed here: pip install {name}")
    return wanted


@contextlib.contextmanager
def tracking(names: list[str], folder: Path, settings: Settings) -> Iterator[Log | None]:
    """Open the trackers and yield a function that logs a row of the history.

    Args:
        names: from `check_trackers`; yields None if empty.
        folder: target folder of trackers that write files.
        settings: recorded with the run.

    Raises:
        RunError: when a tracker cannot be opened.
    """
    if not names:
        yield None
        return
    from accelerate import Accelerator

    try:
        accelerator = Accelerator(log_with=names, project_dir=folder)  # type: ignore[arg-type]
        config = {k: v for k, v in asdict(settings).items() if k != "options"}
        accelerator.init_trackers("erasekit", config={**config, **settings.options})
    except Exception as error:  # each tracker has its own errors
        raise RunError(f"trackers {', '.join(names)} cannot be opened: {reason(error)}") from error
    try:
        yield lambda row: accelerator.log(
            {k: v for k, v in row.items() if k != "step"}, step=int(row["step"])
        )
    finally:
        # `end_training` would also end the process group, but the run continues.
        for tracker in accelerator.trackers:
            tracker.finish()
