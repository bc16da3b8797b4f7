"""Words for numbers, so that a sentence about a result is computed from the result."""

from __future__ import annotations

from collections.abc import Sequence

#: The largest difference of two shares, or of two cosines, that is called *about the same*.
SAME = 0.05
#: The kit's names of measures that are no words.
_MEASURES = {
    "top1": "top-1",
    "membership_auc": "membership AUC",
    "neighbourhood_kept": "neighbourhood kept",
}


def share(value: float) -> str:
    """A share from 0 to 1 in words: none, few, some, about half, most, nearly all or all."""
    if value <= 0:
        return "none"
    for limit, text in ((0.15, "few"), (0.4, "some"), (0.6, "about half"), (0.9, "most")):
        if value < limit:
            return text
    return "nearly all" if value < 1 else "all"


def compared(value: float, other: float, within: float = SAME) -> str:
    """How a value stands to another: lower, about the same or higher.

    Args:
        within: the largest difference that is not called one.
    """
    if abs(value - other) <= within:
        return "about the same"
    return "higher" if value > other else "lower"


def effect(differences: Sequence[float]) -> str:
    """Whether differences of several runs are more than luck: measurable, or not.

    They are if there are two or more, all of one sign, with a mean larger than their spread.
    """
    least, most = min(differences), max(differences)
    if len(differences) < 2:
        return "one run cannot tell whether that is luck"
    apart = abs(sum(differences)) / len(differences) > most - least
    return "measurable" if least * most > 0 and apart else "no measurable difference"


def readable(text: str) -> str:
    """A text with words in place of the kit's names of measures, such as top-1 for top1."""
    for name, words in _MEASURES.items():
        text = text.replace(name, words)
    return text


def measured(metric: str, subset: str) -> str:
    """A measure of a group of concepts, as tables and sentences name it: ``top-1 (forget)``."""
    return readable(f"{metric} ({subset})")


def joined(names: list[str]) -> str:
    """Names as in a sentence: `a`, `a and b`, `a, b and c`; of none, `none`."""
    if not names:
        return "none"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
