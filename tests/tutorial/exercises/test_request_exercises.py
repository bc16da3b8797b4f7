"""Exercises of notebook 15: right answers are right, and each mistake gets its hint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from erasekit.requests.merkle_log import leaf, roots
from erasekit.tutorial.exercises.request_exercises import EXERCISES

BOUND, ROOT = (EXERCISES["15_deletion_request"][name] for name in ("bound", "merkle_root"))
CERTIFICATE = {
    "criteria": [
        {"id": "kept", "at_most": 0.2, "found": [{"value": 0.1}]},
        {"id": "no trace", "at_least": -0.3, "found": [{"value": -0.86}]},
    ]
}


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (-0.86, None),
        (-0.3, "the bound that the version did not meet"),
        (0.1, "Look for the criterion `no trace`"),
    ],
)
def test_the_loosest_bound(answer: float, hint: str | None) -> None:
    verdict = BOUND.verdict(answer, certificate=CERTIFICATE)
    assert verdict.status == ("wrong" if hint else "right")
    assert (hint or "the log shows") in verdict.text


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def tree(
    *, zero: bytes = b"\0", one: bytes = b"\1", half: Callable[[int], int] | None = None
) -> Callable[[list[bytes]], bytes]:
    """A root function, with mistakes in it if asked."""

    def largest(count: int) -> int:
        return 1 << (count - 1).bit_length() - 1

    def found(entries: list[bytes]) -> bytes:
        if len(entries) == 1:
            return sha(zero, entries[0])
        cut = (half or largest)(len(entries))
        return sha(one, found(entries[:cut]), found(entries[cut:]))

    return found


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (tree(), None),
        (tree(zero=b""), "The byte 0 before an entry is missing"),
        (tree(zero=b"\2"), "For one entry the root is the hash of the byte 0"),
        (tree(one=b""), "For two entries: hash the byte 1"),
        (lambda e: tree()(e[:2]), "but not for four"),
        (tree(half=lambda count: count // 2), "It is right for powers of two"),
        (lambda e: tree()(e).hex(), "return bytes"),
    ],
    ids=["right", "no 0", "another byte", "no 1", "two only", "halves", "text"],
)
def test_the_root_of_a_log(answer: Callable, hint: str | None) -> None:
    entries = [f"entry {n}".encode() for n in range(21)]
    facts = {"entries": entries, "roots": list(roots(map(leaf, entries)))}
    verdict = ROOT.verdict(answer, **facts)
    assert verdict.status == ("wrong" if hint else "right"), verdict.text
    assert (hint or "signed checkpoint") in verdict.text
    assert ROOT.verdict(lambda entries: None, **facts).status == "waiting"
