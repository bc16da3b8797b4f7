"""The two ways erasekit says no: the caller can mend it, or the run went wrong.

Both carry one line for a person. The command line prints that line and nothing
else; notebooks and Python callers see an ordinary exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from erasekit.text import shown


class ErasekitError(Exception):
    """Base of every error that erasekit raises on purpose."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: in a notebook too, one line that says what to mend."""
        return [f"error: {self}"]


class UsageError(ErasekitError, ValueError):
    """What was asked cannot be done as asked; the message says what to change."""

    exit_code = 2


class RunError(ErasekitError, RuntimeError):
    """A run that started properly could not go on; what was reached is kept."""

    exit_code = 1


def unknown(kind: str, value: str, known: Iterable[str], hint: str = "") -> UsageError:
    """A `UsageError` for a name nobody knows, naming the nearest that exists."""
    names = [str(name) for name in known]
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(str(value).lower(), list(lowered), n=1, cutoff=0.5)
    if near:
        mend = f"did you mean '{lowered[near[0]]}'?"
    elif len(names) <= 16:
        mend = "known: " + ", ".join(names)
    else:
        mend = f"{len(names)} are known"
    end = "" if near or not hint else "."
    return UsageError(f"unknown {kind} '{value}': {mend}{end} {hint}".rstrip())


def reason(error: BaseException) -> str:
    """What an error of a library says, as one line that is safe to print."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return shown((str(error).strip() or type(error).__name__).splitlines()[0])
