"""Progress bars: one look, on standard error, and one way to switch them off."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from tqdm.auto import tqdm

#: Set to 0, no bar is shown anywhere: for logs, and for notebooks that nobody watches.
VARIABLE = "ERASEKIT_PROGRESS"
_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


def progress_bar(label: str, unit: str, total: int, *, done: int = 0, show: bool = True) -> Any:
    """A bar that goes away when it is done.

    Args:
        label: what is at work.
        unit: what is counted.
        total: how many there are.
        done: how many of them were done before.
        show: whether to show it at all; see also `hidden` and `VARIABLE`.
    """
    return tqdm(
        total=total,
        initial=done,
        desc=label,
        unit=unit,
        disable=not show or _hidden.get() or os.environ.get(VARIABLE) == "0",
        file=sys.stderr,
        mininterval=1.0,
        leave=False,
    )


@contextlib.contextmanager
def hidden(hide: bool = True) -> Iterator[None]:
    """No bar is shown within, whatever is called there."""
    token = _hidden.set(hide or _hidden.get())
    try:
        yield
    finally:
        _hidden.reset(token)
