"""Verdicts on values: as the oracle, less forgotten, over-forgetting, or cannot tell.

An audit promises one thing first: an innocent model, one that never saw the forgotten things,
is accused in at most 5 of 100 audits. An audit has many values, so each gets a part of these
5 %: every test the same part; within a test one half goes to its *main* values (each metric's
mean over its conditions, or its only value) and one half to the single conditions. Adding
probabilities in this way (Bonferroni) needs no assumption on how values depend on each other.

The rules:

- The *gap* is a model's value minus the mean of the oracles' values. Its *error* is how far
  the gap of an innocent model usually is from zero, see `audit.seed_noise`.
- The *margin* is the gap that an innocent model exceeds with the probability of this value's
  part. It is at least 2 points, and at least three pictures.
- **Less forgotten** (or, below, **over-forgetting**): the gap is beyond the margin. A value at
  chance level is never "less forgotten". For retained things, only a loss counts.
- The *smallest* gap that the audit would have seen is that of a model which is accused in 90
  of 100 cases.
- **As the oracle**: the gap's 95 % range includes zero, and the smallest gap that would have
  been seen is at most half of the original's (for retained things: at most 25 points). A
  value that hardly separates the original from an oracle cannot acquit any model.
- A model that no longer works (it names at most half of the retained things that the
  original names, or no more than chance) is never as the oracle: a model that knows nothing
  has the oracle's value wherever that is chance or zero.
- Everything else: **cannot tell**. Without an oracle this is every verdict; the gap and its
  interval are then to the original, and show what changed, not whether it is right.

A test gets its most severe verdict; it is as the oracle if all of its acquitting metrics are,
each by the mean over its conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from erasekit.audit.base import Estimate, Sense
from erasekit.audit.seed_noise import Calibration
from erasekit.evaluate.bootstrap import interval

AS_THE_ORACLE = "as the oracle"
LESS = "less forgotten than the oracle"
MORE = "more than the oracle: over-forgetting"
CANNOT_TELL = "cannot tell"
VERDICTS = (AS_THE_ORACLE, LESS, MORE, CANNOT_TELL)

NO_ORACLE = "there is no oracle: the gap is to the original, and shows only what changed"
ORIGINAL_DOES_NOT_KNOW = "the original does no better than guessing here"
NO_LONGER_WORKS = "the model no longer works: it names at most half of the retained things"

#: Probability that a whole audit accuses an innocent model of anything.
FALSE_ACCUSATION = 0.05
#: Probability with which a model at the smallest gap that is seen is accused.
POWER = 0.90
LEAST_MARGIN, LEAST_PICTURES = 0.02, 3
#: Limit of the smallest gap for retained things; elsewhere the original's gap sets the limit.
MOST_UNSEEN = 0.25


@dataclass(frozen=True)
class Verdict:
    """Verdict on one value.

    Attributes:
        word: one of `VERDICTS`.
        reason: the reason, in one sentence.
        gap, low, high: value minus the mean of the oracles', with its 95 % range; minus the
            original's if there is no oracle, NaN if there is neither.
        margin: gap beyond which the model is accused; None with fewer than two oracles.
        smallest: smallest gap that would have been seen; None with fewer than two oracles.
    """

    word: str
    reason: str
    gap: float
    low: float
    high: float
    margin: float | None
    smallest: float | None


def judge(
    own: Estimate,
    oracles: Sequence[Estimate],
    sense: Sense,
    *,
    metric: str,
    calibration: Calibration,
    level: float = FALSE_ACCUSATION,
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
        metric: name of the value's noise, see `judging.noise_key`.
        calibration: how far oracles usually lie apart.
        level: probability of accusing an innocent model by this value.
        original: the same measure of the original; without it, no measure of forgetting is
            as the oracle.
        chance: the value of guessing.
        if_original_knows: whether the original must do better than guessing.
        works: whether the model still names the retained things.
    """
    if len(oracles) < 2:
        return _without_spread(own, oracles, original)
    middle = float(np.mean([oracle.value for oracle in oracles]))
    gap = own.value - middle
    error = calibration.error(metric, oracles)
    half = calibration.reach(0.025) * error
    sides = 2 if sense == "remembered" else 1
    margin = max(
        LEAST_MARGIN, LEAST_PICTURES / oracles[0].n, calibration.reach(level / sides) * error
    )
    smallest = margin + calibration.reach(1 - POWER) * error

    def verdict(word: str, reason: str) -> Verdict:
        if word == AS_THE_ORACLE and not works:
            word, reason = CANNOT_TELL, NO_LONGER_WORKS
        return Verdict(word, reason, gap, gap - half, gap + half, margin, smallest)

    if sense == "reported":
        return verdict(CANNOT_TELL, "it is shown beside the others, and no verdict rests on it")
    if if_original_knows and not knows(original, chance):
        return verdict(CANNOT_TELL, ORIGINAL_DOES_NOT_KNOW)
    if gap < -margin:
        return verdict(MORE, "below the oracles by more than an innocent model would be")
    if sense == "remembered" and gap > margin:
        if chance is not None and own.interval[0] <= chance:
            return verdict(CANNOT_TELL, "above the oracles, but guessing reaches it too")
        return verdict(LESS, "above the oracles by more than an innocent model would be")
    if gap < -half or (sense == "remembered" and gap > half):
        return verdict(CANNOT_TELL, "unusual for an oracle, but not beyond the margin")
    if sense == "kept":
        if smallest > MOST_UNSEEN:
            return verdict(CANNOT_TELL, _blind(smallest))
        return verdict(AS_THE_ORACLE, "not below the oracles by more than oracles usually are")
    if original is None or smallest > abs(original.value - middle) / 2:
        return verdict(CANNOT_TELL, _blind(smallest))
    return verdict(AS_THE_ORACLE, "no farther from the oracles than oracles usually are")


def _blind(smallest: float) -> str:
    return f"only a gap of {100 * smallest:.0f} points or more would have been seen"


def _without_spread(
    own: Estimate, oracles: Sequence[Estimate], original: Estimate | None
) -> Verdict:
    """The gap to one oracle, or to the original, with an interval over concepts alone."""
    reference = oracles[0] if oracles else original
    if reference is None:
        nothing = float("nan")
        return Verdict(CANNOT_TELL, NO_ORACLE, nothing, nothing, nothing, None, None)
    low, high = interval(own.replicates - reference.replicates)
    reason = "one oracle alone does not show how far oracles differ" if oracles else NO_ORACLE
    return Verdict(CANNOT_TELL, reason, own.value - reference.value, low, high, None, None)


def knows(original: Estimate | None, chance: float | None) -> bool:
    """Whether the original's whole interval is better than guessing."""
    return original is not None and (chance is None or original.interval[0] > chance)


def levels(main: int, others: int, tests: int) -> tuple[float, float]:
    """Return the level of each main value of a test, and of each of its other values.

    Args:
        main: number of judged main values of the test.
        others: number of its other judged values; without any, the main values get all.
        tests: number of tests in the audit.
    """
    share = FALSE_ACCUSATION / tests
    if not main or not others:
        return share / max(main, 1), share / max(others, 1)
    return share / 2 / main, share / 2 / others


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
