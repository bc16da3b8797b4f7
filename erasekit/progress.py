"""Progress on standard error: a moving bar where somebody watches, a few lines in a log.

Bars are tqdm's. Without a terminal or a notebook, as on a cluster or in CI, a bar would leave a
line for every move of it; there the same work tells of its begin, then once a minute, and of its
end, in whole lines.
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

#: Set to 0, no progress is shown anywhere: for logs, and for notebooks that nobody watches.
VARIABLE = "ERASEKIT_PROGRESS"
#: A log has at most one line of a work in this time, in seconds.
LOG_EVERY = 60.0
#: What took less, in seconds, has no line of its end in a log.
_WORTH_AN_END = 5.0
_hidden: ContextVar[bool] = ContextVar("hidden", default=False)


def progress_bar(label: str, unit: str, total: int, *, done: int = 0, show: bool = True) -> Any:
    """A bar that goes away when it is done; where nobody watches, the few lines of `LogLines`.

    Args:
        label: what is at work.
        unit: what is counted; B for bytes, told in thousands and millions.
        total: how many there are; 0 where that is not known.
        done: how many of them were done before.
        show: whether to show it at all; see also `hidden` and `VARIABLE`.
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
    """No bar is shown within, whatever is called there."""
    token = _hidden.set(hide or _hidden.get())
    try:
        yield
    finally:
        _hidden.reset(token)


def silenced() -> bool:
    """Whether the user wants no progress at all."""
    return os.environ.get(VARIABLE) == "0"


def watched() -> bool:
    """Whether standard error is a terminal or a notebook, where a bar can move."""
    if sys.stderr.isatty():
        return True
    ipython = sys.modules.get("IPython")  # not imported: then this is no notebook
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class LogLines:
    """What of tqdm's interface a bar here needs, said in whole lines that a log can keep.

    A work inside another has no lines of its begin and end: of a thousand downloads, only those
    that take minutes are told of.

    Attributes:
        n: how many are done.
        disable: whether nothing is shown; never so here.
    """

    disable = False

    _at_work: ClassVar[list[LogLines]] = []  #: those begun and not ended, in this process

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
        """Tell of the begin.

        Args:
            label: what is at work.
            unit: what is counted; B for bytes.
            total: how many there are; 0 where that is not known.
            done: how many of them were done before.
            file: gets the lines; standard error if not given.
            clock: seconds since any moment.
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
        """Count `n` more as done."""
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
        """Show named values beside the count from now on."""
        self._postfix = ", ".join(f"{name}={value}" for name, value in values.items())

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Show a text beside the count from now on."""
        self._postfix = text

    def close(self) -> None:
        """Tell of the end, once, with its seconds."""
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
