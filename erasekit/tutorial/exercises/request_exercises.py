"""Exercises of notebook 15: a deletion request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from erasekit.tutorial.exercise import Exercise, number, written


def _loosest(certificate: Mapping[str, Any]) -> float:
    """The bound on the similarity that the version would just have met."""
    criteria = {criterion["id"]: criterion for criterion in certificate["criteria"]}
    return criteria["no trace"]["found"][0]["value"]


def _bound(certificate: Mapping[str, Any]) -> float:
    criteria = {criterion["id"]: criterion for criterion in certificate["criteria"]}
    return criteria["no trace"]["at_least"]


def _merkle_root(answer: Any, entries: list[bytes], roots: Sequence[bytes]) -> str | None:
    """Judge it by the roots of the first 0, 1, 2, … entries."""
    import hashlib

    def right(count: int) -> bool:
        return written(answer, entries[:count]) == roots[count]

    first = written(answer, entries[:1])
    if not isinstance(first, bytes):
        return f"It returns {type(first).__name__}: return bytes, as `.digest()` gives them."
    if first == hashlib.sha256(entries[0]).digest():
        return "The byte 0 before an entry is missing: a node could then pass as an entry."
    if not right(1):
        return "For one entry the root is the hash of the byte 0 and that entry."
    if not right(2):
        return "For two entries: hash the byte 1, then the left hash, then the right hash."
    if not right(4):
        return "It is right for two entries, but not for four: call the function for both halves."
    if not right(3) or not right(7):
        return (
            "It is right for powers of two. The left part has the largest power of two that is "
            "smaller than the number of entries: 2 of 3, and 4 of 7."
        )
    return None if right(len(entries)) else f"For {len(entries)} entries it is another root."


EXERCISES: dict[str, dict[str, Exercise]] = {
    "15_deletion_request": {
        "bound": Exercise(
            level="modify",
            hint='`strict["criteria"]` lists what was found for each criterion.',
            judge=number(
                _loosest,
                within=0.005,
                mistakes={"That is the bound that the version did not meet.": _bound},
                otherwise="Look for the criterion `no trace`, and what was found for it.",
            ),
            because="A bound that is set after the value is known proves nothing: the log shows "
            "when the policy was changed, by whom and why.",
        ),
        "merkle_root": Exercise(
            level="build",
            hint="Begin with one entry, then call the function itself for two parts.",
            judge=_merkle_root,
            because="The signed checkpoint holds this root, so that nobody can change an entry, "
            "remove it or reorder the log without changing the root.",
        ),
    },
}
