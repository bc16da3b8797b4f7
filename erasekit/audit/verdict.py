"""Verdicts on measures: as the oracle, less forgotten, over-forgetting, or cannot tell.

The rules:

- The *gap* is a model's value minus the mean of the oracles' values. Its 90 % interval comes
  from a bootstrap over concepts, with the same draws for all models.
- The *margin* is how far an oracle with another seed may deviate: the standard deviation
  between the oracles' seeds, times a factor with which such an oracle's whole interval is
  inside in 98 of 100 cases. It is at least 2 points, and at least three pictures.
- **As the oracle**: the whole interval is within the margin. A test with few pictures has a
  wide interval and does not pass. The margin must also be at most half of the original's
  gap: a test that hardly separates the original from an oracle cannot pass any model.
- **Less forgotten** (or, below, **over-forgetting**): the gap is beyond the margin and its
  interval excludes zero. A value at chance level is never "less forgotten".
- For retained concepts, only a loss counts, and the margin must be at most 25 points.
- A model that no longer works (it names at most half of the retained things that the
  original names, or no more than chance) is never as the oracle: a model that knows nothing
  has the oracle's value wherever that is chance or zero.
- Everything else: **cannot tell**. Without an oracle this is every verdict; the gap and its
  interval are then to the original, and show what changed, not whether it is right.

A test gets its most severe verdict; it is as the oracle if all of its acquitting metrics are,
each by the mean over its conditions.

This is an equivalence test at 5 % like two one-sided tests (Schuirmann 1987); the margin is
the spread of the oracles, not chosen by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from erasekit.audit.base import Estimate, Sense
from erasekit.evaluate.bootstrap import interval

AS_THE_ORACLE = "as the oracle"
LESS = "less forgotten than the oracle"
MORE = "more than the oracle: over-forgetting"
CANNOT_TELL = "cannot tell"
VERDICTS = (AS_THE_ORACLE, LESS, MORE, CANNOT_TELL)

NO_ORACLE = "there is no oracle: the gap is to the original, and shows only what changed"
ORIGINAL_DOES_NOT_KNOW = "the original does no better than guessing here"
NO_LONGER_WORKS = "the model no longer works: it names at most half of the retained things"

#: Level of the interval of an equivalence test at 5 % on each side.
LEVEL = 0.90
#: Half width of another oracle's interval, plus the deviation of its centre in 98 of 100 cases.
_REACH = NormalDist().inv_cdf(0.95) + NormalDist().inv_cdf(0.99)
LEAST_MARGIN, LEAST_PICTURES = 0.02, 3
#: Limit of the margin for retained concepts; elsewhere the original's gap sets the limit.
MOST_MARGIN = 0.25


@dataclass(frozen=True)
class Verdict:
    """Verdict on one value.

    Attributes:
        word: one of `VERDICTS`.
        reason: the reason, in one sentence.
        gap, low, high: value minus the mean of the oracles', with its 90 % interval; minus
            the original's if there is no oracle, NaN if there is neither.
        margin: the margin; None with fewer than two oracles.
    """

    word: str
    reason: str
    gap: float
    low: float
    high: float
    margin: float | None


def margin_of(oracles: Sequence[Estimate]) -> float | None:
    """Return how far another oracle's interval may reach; None with fewer than two oracles.

    The deviation between seeds is estimated from the values and from the variation of their
    differences over concepts; the larger estimate is used, since two or three values alone
    often underestimate it.
    """
    if len(oracles) < 2:
        return None
    between = float(np.var([oracle.value for oracle in oracles], ddof=1))
    over_concepts = np.mean(
        [np.var(a.replicates - b.replicates) / 2 for a, b in combinations(oracles, 2)]
    )
    deviation = np.sqrt(max(between, float(over_concepts)) * (1 + 1 / len(oracles)))
    return max(LEAST_MARGIN, LEAST_PICTURES / oracles[0].n, float(_REACH * deviation))


def judge(
    own: Estimate,
    oracles: Sequence[Estimate],
    sense: Sense,
    *,
    original: Estimate | None = None,
    chance: float | None = None,
    if_original_knows: bool = False,
    works: bool = True,
) -> Verdict:
    """Judge one value.

    Args:
        own: the value to judge.
        oracles: the same measure of each oracle.
        sense: meaning of the value, see `audit.base.Sense`.
        original: the same measure of the original; without it, no measure of forgetting is
            as the oracle.
        chance: the value of guessing.
        if_original_knows: whether the original must do better than guessing.
        works: whether the model still names the retained things.
    """
    references = list(oracles) or ([original] if original is not None else [])
    if not references:
        nothing = float("nan")
        return Verdict(CANNOT_TELL, NO_ORACLE, nothing, nothing, nothing, None)
    middle = float(np.mean([reference.value for reference in references]))
    gap = own.value - middle
    low, high = interval(
        own.replicates - np.mean([reference.replicates for reference in references], axis=0), LEVEL
    )
    margin = margin_of(oracles)

    def verdict(word: str, reason: str) -> Verdict:
        if word == AS_THE_ORACLE and not works:
            word, reason = CANNOT_TELL, NO_LONGER_WORKS
        return Verdict(word, reason, gap, low, high, margin)

    if not oracles:
        return verdict(CANNOT_TELL, NO_ORACLE)
    if sense == "reported":
        return verdict(CANNOT_TELL, "it is shown beside the others, and no verdict rests on it")
    if margin is None:
        return verdict(CANNOT_TELL, "one oracle alone does not show how far oracles differ")
    if if_original_knows and not knows(original, chance):
        return verdict(CANNOT_TELL, ORIGINAL_DOES_NOT_KNOW)
    if gap < -margin and high < 0:
        return verdict(MORE, "below the oracles by more than they differ among themselves")
    if sense == "remembered" and gap > margin and low > 0:
        if chance is not None and own.interval[0] <= chance:
            return verdict(CANNOT_TELL, "above the oracles, but guessing reaches it too")
        return verdict(LESS, "above the oracles by more than they differ among themselves")
    if low < -margin or (sense == "remembered" and high > margin):
        return verdict(CANNOT_TELL, "the interval is too wide, or reaches over the margin's edge")
    if sense == "kept":
        if margin > MOST_MARGIN:
            return verdict(CANNOT_TELL, "the oracles differ too much among themselves")
        return verdict(AS_THE_ORACLE, "not below the oracles by more than their margin")
    if original is None or margin > abs(original.value - middle) / 2:
        return verdict(CANNOT_TELL, "it would hardly tell the original itself from an oracle")
    return verdict(AS_THE_ORACLE, "the whole interval lies within the oracles' margin")


def knows(original: Estimate | None, chance: float | None) -> bool:
    """Whether the original's whole interval is better than guessing."""
    return original is not None and (chance is None or original.interval[0] > chance)


def summarise(accused: Sequence[str], acquitting: Sequence[str]) -> str:
    """Return the verdict of a test: a leak first, then over-forgetting, then cannot tell.

    Args:
        accused: verdicts of all its values.
        acquitting: verdicts that must all be as the oracle for the test to pass.
    """
    for word in (LESS, MORE):
        if word in accused:
            return word
    return AS_THE_ORACLE if set(acquitting) == {AS_THE_ORACLE} else CANNOT_TELL
