"""A lock that refuses a second program where one is writing already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from erasekit.errors import RunError, UsageError, reason


@contextmanager
def locked(place: Path, lock: FileLock) -> Iterator[None]:
    """Refuse a second program that would write to the same place.

    Args:
        place: the file or folder that is written to.
        lock: its lock.

    Raises:
        UsageError: when another program has the lock.
        RunError: when the lock cannot be written.
    """
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"another run is at work in {place}: wait until it ends, or write to another place"
        ) from None
    except OSError as error:
        raise RunError(f"cannot write {place}: {reason(error)}") from error
    try:
        yield
    finally:
        lock.release()
