"""The exceptions of erasekit: `UsageError` for invalid input, `RunError` for failed runs.

Both have a one-line message for the user. The command line and notebooks show only this line;
Python callers get an ordinary exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from erasekit.text import shown


class ErasekitError(Exception):
    """Base class of all errors that erasekit raises on purpose."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """Show one line instead of a traceback in IPython and notebooks."""
        return [f"error: {self}"]


class UsageError(ErasekitError, ValueError):
    """The input is invalid; the message says what to change."""

    exit_code = 2


class RunError(ErasekitError, RuntimeError):
    """A valid run failed; results so far are kept."""

    exit_code = 1


def unknown(kind: str, value: str, known: Iterable[str], hint: str = "") -> UsageError:
    """A `UsageError` for an unknown name, which suggests the nearest known one."""
    names = [str(name) for name in known]
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(str(value).lower(), list(lowered), n=1, cutoff=0.5)
    if near:
        mend = f"did you mean '{shown(lowered[near[0]])}'?"
    elif len(names) <= 16:
        mend = "known: " + (", ".join(map(shown, names)) or "none like it")
    else:
        mend = f"{len(names)} are known"
    end = "" if near or not hint else "."
    return UsageError(f"unknown {kind} '{value}': {mend}{end} {hint}".rstrip())


def reason(error: BaseException) -> str:
    """The message of a library's error, as one line that is safe to print."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return shown((str(error).strip() or type(error).__name__).splitlines()[0])
