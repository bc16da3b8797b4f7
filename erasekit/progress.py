"""Progress on standard error: bars in terminals and notebooks, a few lines in logs.

Bars are tqdm's. Without a terminal or a notebook, as on a cluster or in CI, a bar would print a
line for every update; there, each task logs its start, its progress once a minute, and its end.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, ClassVar, TextIO

from tqdm.auto import tqdm

#: Environment variable; 0 hides all progress.
VARIABLE = "ERASEKIT_PROGRESS"
#: Minimum time between two log lines of a task, in seconds.
LOG_EVERY = 60.0
#: Tasks that take less time, in seconds, do not log their end.
_WORTH_AN_END = 5.0
_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


def progress_bar(label: str, unit: str, total: int, *, done: int = 0, show: bool = True) -> Any:
    """A progress bar that disappears at the end; without a terminal or notebook, `LogLines`.

    Args:
        label: name of the task.
        unit: unit of the count; B for bytes, shown with unit prefixes.
        total: total count; 0 if unknown.
        done: count that was done before.
        show: whether to show progress; see also `hidden` and `VARIABLE`.
    """
    show = show and not _hidden.get() and not silenced()
    if show and not watched():
        return LogLines(label, unit, total, done=done)
    return tqdm(
        total=total,
        initial=done,
        desc=label,
        unit=unit,
        unit_scale=unit == "B",
        disable=not show,
        file=sys.stderr,
        mininterval=1.0,
        leave=False,
    )


@contextlib.contextmanager
def hidden(hide: bool = True) -> Iterator[None]:
    """Hide all progress within the block."""
    token = _hidden.set(hide or _hidden.get())
    try:
        yield
    finally:
        _hidden.reset(token)


def silenced() -> bool:
    """Whether the user disabled progress with `VARIABLE`."""
    return os.environ.get(VARIABLE) == "0"


def watched() -> bool:
    """Whether standard error is a terminal or a notebook, which can update a bar."""
    if sys.stderr.isatty():
        return True
    ipython = sys.modules.get("IPython")  # a notebook has always imported it
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class LogLines:
    """Log lines with the part of tqdm's interface that erasekit uses.

    A task inside another does not log its start and end: of a thousand downloads, only those that
    take minutes appear in the log.

    Attributes:
        n: count so far.
        disable: whether output is disabled; always false.
    """

    disable = False

    _at_work: ClassVar[list[LogLines]] = []  #: running tasks of this process

    def __init__(
        self,
        label: str,
        unit: str,
        total: int,
        *,
        done: int = 0,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Log the start.

        Args:
            label: name of the task.
            unit: unit of the count; B for bytes.
            total: total count; 0 if unknown.
            done: count that was done before.
            file: output file; by default standard error.
            clock: function that returns seconds.
        """
        self.n = self._before = done
        self._label, self._unit, self._total = " ".join(label.split()), unit, total
        self._file, self._clock = file or sys.stderr, clock
        self._postfix = ""
        self._started = self._said = clock()
        self._inside = bool(self._at_work)
        self._at_work.append(self)
        if not self._inside:
            self._say(f"started, {self._count}")

    def __enter__(self) -> LogLines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, n: int = 1) -> None:
        """Add `n` to the count."""
        self.n += n
        now = self._clock()
        if now - self._said >= LOG_EVERY:
            self._said = now
            gone, new = now - self._started, self.n - self._before
            parts = [self._count, f"{tqdm.format_interval(gone)} gone"]
            if self._total and new > 0:
                left = max(0, self._total - self.n) * gone / new
                parts.append(f"{tqdm.format_interval(left)} left")
            self._say(", ".join(filter(None, [*parts, self._postfix])))

    def set_postfix(self, refresh: bool = True, **values: object) -> None:
        """Show named values after the count from now on."""
        self._postfix = ", ".join(f"{name}={value}" for name, value in values.items())

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Show a text after the count from now on."""
        self._postfix = text

    def close(self) -> None:
        """Log the end, once, with the duration in seconds."""
        if self not in self._at_work:
            return
        self._at_work.remove(self)
        seconds = self._clock() - self._started
        if seconds >= _WORTH_AN_END and not self._inside:
            self._say(f"ended after {seconds:.0f} s, {self._count}")

    @property
    def _count(self) -> str:
        done, total, unit = str(self.n), str(self._total), f" {self._unit}s"
        if self._unit == "B":
            done, total = tqdm.format_sizeof(self.n, "B"), tqdm.format_sizeof(self._total, "B")
            unit = ""
        return (f"{done} of {total}" if self._total else done) + unit

    def _say(self, what: str) -> None:
        print(f"{self._label}: {what}", file=self._file, flush=True)
