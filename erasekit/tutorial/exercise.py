"""An exercise of a notebook: how an answer is judged, and a hint that fits the mistake.

The question, the place for the answer and the folded solution are cells of the notebook.
The judge is here, so that the answer is not printed beside the question. It works the
truth out by itself, from what the notebook has computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: From an answer and the notebook's facts to a hint that fits the mistake; None: it is right.
Judge = Callable[..., str | None]


class NotWrittenError(Exception):
    """A function of the learner that returns nothing yet."""


@dataclass(frozen=True)
class Verdict:
    """What came of an answer."""

    status: Literal["waiting", "right", "wrong"]
    text: str  #: for the learner, in Markdown


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        level: modify (change a run and read it) or build (write a function). Predictions are
            answered by the run itself, see `Notebook.answer`.
        hint: where to begin; shown while there is no answer.
        judge: None for a right answer, else a hint that fits the mistake.
        because: why the answer is right and what follows from it; shown once it was found.
    """

    level: Literal["modify", "build"]
    hint: str
    judge: Judge
    because: str

    def verdict(self, answer: Any, **facts: Any) -> Verdict:
        """Judge an answer; None, or a function that returns None, is no answer yet."""
        waiting = Verdict("waiting", f"**Your turn.** {self.hint}")
        if answer is None:
            return waiting
        try:
            mistake = self.judge(answer, **facts)
        except NotWrittenError:
            return waiting
        except Exception as error:
            mistake = f"Your answer stops with `{type(error).__name__}: {error}`."
        if mistake is None:
            return Verdict("right", f"**Right.** {self.because}")
        return Verdict("wrong", f"**Not yet.** {mistake}")


def written(function: Any, *arguments: Any) -> Any:
    """What a learner's function returns.

    Raises:
        NotWrittenError: while it returns nothing.
        TypeError: when the answer is no function.
    """
    if not callable(function):
        raise TypeError("the answer must be a function")
    result = function(*arguments)
    if result is None:
        raise NotWrittenError
    return result


def number(
    truth: Callable[..., float],
    within: float = 0.0,
    mistakes: Mapping[str, Callable[..., float]] | None = None,
    otherwise: str = "",
) -> Judge:
    """A judge of a number.

    Args:
        truth: the right number, from the facts.
        within: how far an answer may be from it.
        mistakes: for a hint, the wrong number that it fits.
        otherwise: the hint for any other number.
    """

    def judge(answer: Any, **facts: Any) -> str | None:
        try:
            value = float(answer)
        except (TypeError, ValueError):
            return f"`{answer!r}` is not a number."
        if _near(value, truth(**facts), within):
            return None
        for hint, wrong in (mistakes or {}).items():
            if _near(value, wrong(**facts), within):
                return hint
        return f"{answer!r} is not it. {otherwise}".rstrip()

    return judge


def word(
    truth: Callable[..., str],
    mistakes: Mapping[str, Callable[..., str]] | None = None,
    otherwise: str = "",
) -> Judge:
    """A judge of a name, written in any case; as `number`."""

    def judge(answer: Any, **facts: Any) -> str | None:
        if not isinstance(answer, str):
            return f"`{answer!r}` is not text: put the answer in quotes."
        given = answer.strip().lower()
        if given == truth(**facts).lower():
            return None
        for hint, wrong in (mistakes or {}).items():
            if given == wrong(**facts).lower():
                return hint
        return f"{answer!r} is not it. {otherwise}".rstrip()

    return judge


def hinted(value: float, hints: dict[float, str | None], otherwise: str) -> str | None:
    """The hint of the number that a function returned; of the right one, None."""
    return next((hint for known, hint in hints.items() if abs(value - known) < 1e-4), otherwise)


def _near(value: float, truth: float, within: float) -> bool:
    return math.isfinite(value) and abs(value - truth) <= within
