"""Summarise a scorecard in sentences: forgetting, retention, and the gap to the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from erasekit.errors import RunError
from erasekit.evaluate.scorecard import Scorecard
from erasekit.runs.pages.score_table import percent, points, signed

#: Maximum top-1 on the forget set that counts as forgotten, and maximum drop on the retain set
#: that counts as kept. The glossary on the page states them too.
FORGOTTEN_AT_MOST, DROP_AT_MOST = 0.05, 0.10


@dataclass(frozen=True)
class Sentence:
    """One sentence of the summary and its rating."""

    lead: str
    text: str
    mood: str  #: good, bad or plain


def headline(scorecard: Scorecard) -> list[Sentence]:
    """Summarise a scorecard: forgetting, retention, and the gap to the oracle.

    Raises:
        RunError: when the scorecard has no erased model.
    """
    if "erased" not in scorecard.models:
        raise RunError("the scorecard has no erased model: there is nothing to summarise")
    sentences = [_forgotten(scorecard), _kept(scorecard)]
    if _unseen(scorecard):
        sentences.append(_against_unseen(scorecard))
    if scorecard.has(*_TOLD):
        sentences.append(_told(scorecard))
    if "oracle" in scorecard.models:
        sentences.append(_against_oracle(scorecard))
        sentences.append(_average(scorecard))
    else:
        text = "This run has no oracle, so the distance to retraining is unknown."
        sentences.append(Sentence("No oracle.", text, "plain"))
    return sentences


def _forgotten(card: Scorecard) -> Sentence:
    metric, (measure, things) = card.main_metric, _main(card)
    before, after = (card.value(m, metric, "forget") for m in ("original", "erased"))
    text = f"{measure} on the forgotten {things} went from {percent(before)} to {percent(after)}"
    if "oracle" in card.models:
        text += f"; the oracle has {percent(card.value('oracle', metric, 'forget'))}"
    bound = FORGOTTEN_AT_MOST
    if _unseen(card):
        unseen = card.value("erased", metric, "holdout")
        text += f"; similar pictures that the erasure did not read have {percent(unseen)}"
        bound = max(bound, unseen)
    if after <= bound:
        return Sentence("Forgotten.", text + ".", "good")
    lead = "Forgotten in part." if after <= before / 2 else "Not forgotten."
    return Sentence(lead, text + ".", "bad")


def _kept(card: Scorecard) -> Sentence:
    metric, (measure, things) = card.main_metric, _main(card)
    before, after = (card.value(m, metric, "retain") for m in ("original", "erased"))
    text = f"{measure} on the retained {things} went from {percent(before)} to {percent(after)}"
    near_before = near_after = 0.0
    if card.has(metric, "neighbours"):
        near_before, near_after = (
            card.value(m, metric, "neighbours") for m in ("original", "erased")
        )
        text += (
            f", on the neighbours of the forgotten from {percent(near_before)} to "
            f"{percent(near_after)}"
        )
    if "control" in card.models:
        control = card.value("control", metric, "retain")
        text += f"; further training alone, without forgetting, gives {percent(control)} retained"
    if _drop(card) > DROP_AT_MOST:
        return Sentence("Damaged.", text + ".", "bad")
    if near_before - near_after > DROP_AT_MOST:
        return Sentence("Kept, but the neighbours are damaged.", text + ".", "bad")
    return Sentence("Kept.", text + ".", "good")


def _drop(card: Scorecard) -> float:
    """Return the erased model's loss on the retain set."""
    before, after = (card.value(m, card.main_metric, "retain") for m in ("original", "erased"))
    return before - after


def _main(card: Scorecard) -> tuple[str, str]:
    """Return the words for the main metric and for what it counts."""
    return _MAIN_WORDS[card.main_metric]


_MAIN_WORDS = {
    "top1": ("Top-1", "concepts"),
    "recall@1": ("R@1", "pairs"),
    "accuracy:name": ("The share of right names for pictures", "things"),
}
#: Measure of a language model's answers to text questions about the forgotten things.
_TOLD = ("accuracy", "forget", "told")


def _told(card: Scorecard) -> Sentence:
    before, after = (card.value(m, *_TOLD) for m in ("original", "erased"))
    text = (
        "The share of right answers in words about the forgotten things went from "
        f"{percent(before)} to {percent(after)}."
    )
    if before - after > DROP_AT_MOST:
        return Sentence("Lost in words as well.", text, "bad")
    return Sentence("Kept in words.", text, "good")


def _unseen(card: Scorecard) -> bool:
    """Whether the request lists individual pictures, which are compared with similar ones."""
    return card.has(card.main_metric, "holdout")


def _against_oracle(card: Scorecard) -> Sentence:
    metric = "similarity" if card.has("similarity", "forget") else card.main_metric
    erased, oracle = (_row(card, m, metric, "forget") for m in ("erased", "oracle"))
    number = signed if metric == "similarity" else percent
    text = (
        f"{_similar(card)} {number(erased.value)}, "
        f"against {number(oracle.value)} in the oracle, which never learned them "
        f"(gap {points(card.gap(metric, 'forget'))} points)."
    )
    return _compared(card, erased, oracle, "the oracle", text)


def _against_unseen(card: Scorecard) -> Sentence:
    erased, unseen = (_row(card, "erased", "similarity", s) for s in ("forget", "holdout"))
    text = (
        f"{_similar(card)} {signed(erased.value)}; similar pictures that the erasure did not "
        f"read have {signed(unseen.value)}."
    )
    return _compared(card, erased, unseen, "pictures never seen", text)


def _similar(card: Scorecard) -> str:
    if card.main_metric == "accuracy:name":
        return "Pictures of the forgotten have a share of right names of"
    what = "names" if card.main_metric == "top1" else "captions"
    return f"Pictures of the forgotten have a similarity with their {what} of"


def _compared(card: Scorecard, erased: Any, other: Any, what: str, text: str) -> Sentence:
    """Compare the erased model with another; a damaged model never counts as alike."""
    after = card.value("erased", card.main_metric, "retain")
    if _drop(card) > DROP_AT_MOST or after < _drop(card):
        return Sentence(f"Not as {what}: the retained are damaged.", text, "bad")
    if erased.high < other.low:
        return Sentence(f"Forgot more than {what}.", text, "bad")
    if erased.low > other.high:
        return Sentence(f"Forgot less than {what}.", text, "bad")
    return Sentence(f"About as {what}.", text + " The two intervals overlap.", "good")


def _average(card: Scorecard) -> Sentence:
    text = f"{card.average_gap():.1f} points away from the oracle"
    if "control" in card.models:
        text += (
            f"; the control, which forgets nothing on purpose, {card.average_gap('control'):.1f}"
        )
    text += f"; the original {card.average_gap('original'):.1f}."
    return Sentence("Average gap:", text, "plain")


def _row(card: Scorecard, model: str, metric: str, subset: str) -> Any:
    for row in card.rows:
        if (row.model, row.metric, row.subset) == (model, metric, subset):
            return row
    raise RunError(f"the scorecard has no {metric} on {subset} for {model}")
