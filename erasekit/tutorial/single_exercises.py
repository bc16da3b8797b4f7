"""The exercise at the end of each notebook: a hint, a solution, and a judge.

The judge works the truth out by itself, from what the notebook has computed. The
solution is an expression that a learner could have written there; CI answers with it,
so that a notebook whose exercise can no longer be solved turns red.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from erasekit.data.worlds import PairsWorld
    from erasekit.models.clip import Clip


@dataclass(frozen=True)
class Verdict:
    """What came of an answer."""

    status: str  #: waiting, right or wrong
    text: str  #: for the learner, in Markdown


@dataclass(frozen=True)
class Exercise:
    """One question of a notebook.

    Attributes:
        hint: where to look; shown while there is no answer, and after a wrong one.
        solution: expression in the notebook's names that gives the answer.
        truth: the right answer, from the facts that the notebook hands to `check`.
        because: why it is right; shown once it was found.
        within: how far a number may be from the truth.
    """

    hint: str
    solution: str
    truth: Callable[..., Any]
    because: str
    within: float = 0.0

    def solve(self, namespace: dict[str, Any]) -> Any:
        """The solution's value in a notebook's namespace."""
        return eval(self.solution, namespace)

    def judge(self, answer: Any, **facts: Any) -> Verdict:
        """Whether `answer` is right; None waits for one."""
        if answer is None:
            return Verdict("waiting", f"**Your turn.** Hint: {self.hint}")
        if _same(answer, self.truth(**facts), self.within):
            return Verdict("right", f"**Right.** {self.because}")
        return Verdict("wrong", f"**Not yet:** {answer!r} is not it. Hint: {self.hint}")


def _same(answer: Any, truth: Any, within: float) -> bool:
    if isinstance(truth, str):
        return isinstance(answer, str) and answer.strip().lower() == truth.lower()
    try:
        number = float(answer)
    except (TypeError, ValueError):
        return False
    return math.isfinite(number) and abs(number - truth) <= within


def _farthest(before: Clip, after: Clip, world: PairsWorld) -> str:
    from erasekit.models.zero_shot import concept_features

    concepts = [world.concept(i) for i in world.trained]
    kept = (concept_features(before, concepts) * concept_features(after, concepts)).sum(1)
    return concepts[int(kept.argmin())].name


def _a_leak() -> str:
    from erasekit.audit.verdict import LESS

    return LESS


def _nearest_task(gaps: pd.DataFrame) -> str:
    return str(gaps.loc["cliperase"].drop("mean").idxmin())


def _words_pass_it_by() -> float:
    return 0.0


def _hurt_most(changes: pd.DataFrame) -> str:
    return str(changes["erased"].idxmin())


def _half_way(level: float, scenes: float) -> float:
    return (level + scenes) / 2


def _worn_down(ours: pd.Series) -> float:
    points: dict[Any, float] = ours.to_dict()
    return points["cifar100", "original", "forget"] - points["cifar100", "control", "forget"]


SINGLE_EXERCISES: dict[str, Exercise] = {
    "07_embedding_shift": Exercise(
        hint="the product of two features of length 1 is their cosine: the name with the "
        "smallest `(before * after).sum(1)` has turned furthest. `concepts` is in the same order.",
        solution="concepts[int((before * after).sum(1).argmin())].name",
        truth=_farthest,
        because="A projection to two dimensions loses most of the way: measure in the full space "
        "before you believe an arrow.",
    ),
    "08_is_it_gone": Exercise(
        hint="erase with `e.erase(steps=1)`, and audit its `.model` with `e.audit(model, "
        'tests=["prompt_leaks"])`: what stands in its `.verdicts["prompt_leaks"]`?',
        solution='e.audit(e.erase(steps=1).model, tests=["prompt_leaks"]).verdicts["prompt_leaks"]',
        truth=_a_leak,
        because="An audit that cannot fail would be worth nothing. This one found what a single "
        "step leaves behind.",
    ),
    "09_methods": Exercise(
        hint='`summary.gap_table(found).loc["cliperase"]` is its line: leave the `"mean"` out, and '
        "ask for `.idxmin()`.",
        solution='summary.gap_table(found).loc["cliperase"].drop("mean").idxmin()',
        truth=_nearest_task,
        because="How hard a task is differs from method to method: a comparison on one task alone "
        "is a choice of the winner.",
    ),
    "10_our_method": Exercise(
        hint="one of two must go: its share is a half. Weigh `level` and `scenes` by the shares "
        "that go and stay.",
        solution="(level + scenes) / 2",
        truth=_half_way,
        because="All of the way would take the other thing along, and none of it would leave the "
        "forgotten one where it was.",
        within=1e-6,
    ),
    "11_multimodal_llm": Exercise(
        hint='erase with `e.erase("gradient_ascent", moves="projector", steps=4)`, and let '
        "`tables.changed` compare its `.model` with `e.original` on `e.task.text.take(range(60))`.",
        solution="tables.changed(e.original, "
        'e.erase("gradient_ascent", moves="projector", steps=4).model, '
        "e.task.text.take(range(60)))",
        truth=_words_pass_it_by,
        because="What is asked in words alone never passes through the projector. That is why an "
        "erasure by sight can leave the words alone, if it keeps out of the language model.",
        within=1e-6,
    ),
    "12_downstream": Exercise(
        hint='`changes["erased"]` is its column: ask for `.idxmin()`.',
        solution='changes["erased"].idxmin()',
        truth=_hurt_most,
        because="What a reader needs from a tower differs from question to question: a name takes "
        "all of a feature, a number little of it.",
    ),
    "14_reproduce_cliperase": Exercise(
        hint='`ours["cifar100", "control", "forget"]` is what the control still knows, and the '
        '`"original"` knew more.',
        solution='ours["cifar100", "original", "forget"] - ours["cifar100", "control", "forget"]',
        truth=_worn_down,
        because="Training on other things wears down what is not trained on. An erasure must do "
        "better than that, and is to be thanked for the difference alone.",
        within=0.05,
    ),
}
