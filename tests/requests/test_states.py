"""The states follow the table whatever commands come in whatever order."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from erasekit.errors import UsageError
from erasekit.requests.states import OPEN, STATES, TRANSITIONS, Book

AT = "2026-01-01T00:00:00+00:00"


def entry(what: str, **more: Any) -> dict[str, Any]:
    return {"what": what, "at": AT, "who": "ann", **more}


def filed(number: int, **more: Any) -> dict[str, Any]:
    told = {"rule": "x", "selection": "s", "why": "", "due": "2026-02-01", "state": "received"}
    return entry("add", request=f"r{number}", **{**told, **more})


def book_of(*entries: dict[str, Any]) -> Book:
    return Book([entry("init"), *entries])


def approved(*numbers: int) -> list[dict[str, Any]]:
    """Entries that file and approve requests."""
    return [
        each
        for n in numbers
        for each in (
            filed(n),
            entry("review", request=f"r{n}"),
            entry("approve", request=f"r{n}"),
        )
    ]


def made(version: str, *requests: str, batch: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Entries that make and verify a version."""
    run = entry("run", version=version, batch=list(batch or requests), requests=list(requests))
    return [run, entry("made", version=version), entry("verify", version=version)]


def promoted(version: str) -> list[dict[str, Any]]:
    return [entry("promote", version=version)] * 2


def test_the_table_names_every_state_once_and_only_known_ones() -> None:
    named = {s for before, after in TRANSITIONS.values() for s in (*before, after)}
    assert len(set(STATES)) == 11
    assert named | {"duplicate"} == set(STATES)
    assert set(STATES) - set(OPEN) == {"live", "denied", "duplicate"}


def test_from_the_letter_to_live_and_back() -> None:
    book = book_of(*approved(1), *made("v1", "r1"), *promoted("v1"))
    assert (book.live.id, book.requests["r1"].state) == ("v1", "live")
    book.apply(entry("rollback"))
    assert (book.live.id, book.requests["r1"].state) == ("v0", "rolled_back")
    assert book.versions["v1"].stage == "rolled_back"
    with pytest.raises(UsageError, match="nothing to roll back to"):
        book.apply(entry("rollback"))


def test_rolling_back_undoes_only_what_the_version_before_lacks() -> None:
    book = book_of(*approved(1), *made("v1", "r1"), *promoted("v1"), *approved(2))
    for each in (*made("v2", "r1", "r2", batch=("r2",)), *promoted("v2"), entry("rollback")):
        book.apply(each)
    assert [r.state for r in book.requests.values()] == ["live", "rolled_back"]
    assert book.aliases() == {"live": "v1"}


def test_a_version_that_forgets_less_than_the_live_one_is_not_promoted() -> None:
    book = book_of(*approved(1), *made("v1", "r1"), *promoted("v1"), *approved(2))
    for each in (
        *made("v2", "r1", "r2", batch=("r2",)),
        entry("promote", version="v2"),
        entry("rollback"),  # to the original: r1 is rolled back
        *approved(3),
        *made("v3", "r2", "r3", batch=("r3",)),
        entry("promote", version="v2"),  # r1 is live again
    ):
        book.apply(each)
    with pytest.raises(UsageError, match="v3 does not forget r1, which v2 does"):
        book.apply(entry("promote", version="v3"))


REFUSED = {
    "a second init": ([], entry("init"), "begins with init, once"),
    "an unknown entry": ([], entry("all"), "unknown entry"),
    "approve what was not reviewed": (
        [filed(1)],
        entry("approve", request="r1"),
        "r1 is received: approve takes a request that is in_review",
    ),
    "run nothing": ([], entry("run", version="v1", batch=[], requests=[]), "has no requests"),
    "run what is not approved": (
        [filed(1)],
        entry("run", version="v1", batch=["r1"], requests=["r1"]),
        "r1 is received: run takes",
    ),
    "run before the last is verified": (
        [*approved(1, 2), *made("v1", "r1")[:2]],
        entry("run", version="v2", batch=["r2"], requests=["r2"]),
        "v1 is not verified yet",
    ),
    "promote what was not verified": (
        [*approved(1), *made("v1", "r1")[:2]],
        entry("promote", version="v1"),
        "v1 is made: only a verified",
    ),
    "promote the original": ([], entry("promote", version="v0"), "v0 is live"),
    "an unknown version": ([], entry("promote", version="v9"), "unknown version 'v9'"),
    "verify twice": (
        [*approved(1), *made("v1", "r1")],
        entry("verify", version="v1"),
        "v1 is candidate: only a version that was just made, or compared with an earlier policy",
    ),
    "promote what was compared with an earlier policy": (
        [*approved(1), *made("v1", "r1"), entry("policy", policy_sha256="b")],
        entry("promote", version="v1"),
        "v1 was compared with an earlier policy: `erasekit requests verify` comes first",
    ),
    "the same policy again": (
        [entry("policy", policy_sha256="b")],
        entry("policy", policy_sha256="b"),
        "in force already",
    ),
    "give up what is not approved": (
        [filed(1)],
        entry("impossible", request="r1"),
        "r1 is received: impossible takes a request that is approved",
    ),
    "split what is for one request": (
        [*approved(1), entry("run", version="v1", batch=["r1"], requests=["r1"])],
        entry("split", version="v1"),
        "v1 is for one request: there is nothing to split",
    ),
    "a gap in the numbers": ([], filed(2), "r2 is not the next request"),
    "a request that begins approved": ([], filed(1, state="approved"), "cannot begin as approved"),
}


@pytest.mark.parametrize(("before", "refused", "words"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_and_changes_nothing(before, refused, words: str) -> None:
    book = book_of(*before)
    untouched = copy.deepcopy(book.__dict__)
    with pytest.raises(UsageError, match=words):
        book.apply(refused)
    assert book.__dict__ == untouched


class Commands(RuleBasedStateMachine):
    """Random entries against a small model: a state for each request, and a stack of live sets."""

    def __init__(self) -> None:
        super().__init__()
        self.book = book_of()
        self.states: list[str] = []
        self.stages: dict[str, str] = {}
        self.forgets: dict[str, list[int]] = {"v0": []}
        self.batches: dict[str, list[int]] = {}
        self.stack = ["v0"]
        self.policy = ""
        self.compared: dict[str, str] = {}

    def waits(self) -> str | None:
        """The version to verify: one just made, or one compared with an earlier policy."""
        stages = self.stages.items()
        older = [
            name
            for stage in ("made", "canary", "candidate")
            for name, own in stages
            if own == stage and (stage == "made" or self.compared[name] != self.policy)
        ]
        return older[0] if older else None

    def says(self, allowed: bool, made: dict[str, Any]) -> bool:
        """Apply an entry; it must be accepted exactly when the model allows it."""
        try:
            self.book.apply(made)
        except UsageError:
            assert not allowed, made
            return False
        assert allowed, made
        return True

    @initialize(n=st.integers(1, 4))
    def file(self, n: int) -> None:
        for _ in range(n):
            self.says(True, filed(len(self.states) + 1))
            self.states.append("received")

    @rule(n=st.integers(0, 3), what=st.sampled_from(["review", "ask", "approve", "refuse"]))
    def decide(self, n: int, what: str) -> None:
        if n >= len(self.states):
            return
        allowed = {
            "review": {"received", "needs_input"},
            "ask": {"received", "in_review"},
            "approve": {"in_review", "failed", "rolled_back"},
            "refuse": {"received", "needs_input", "in_review", "failed", "rolled_back"},
        }[what]
        after = {"review": "in_review", "ask": "needs_input", "approve": "approved"}
        if self.says(self.states[n] in allowed, entry(what, request=f"r{n + 1}")):
            self.states[n] = after.get(what, "denied")

    @rule()
    def hurry(self) -> None:
        """Bring every request as far as review and approval do."""
        for what in ("review", "approve"):
            for n in range(len(self.states)):
                self.decide(n, what)

    @rule(names=st.sets(st.integers(0, 3), min_size=1))
    def run(self, names: set[int]) -> None:
        batch = [n for n in sorted(names) if n < len(self.states)]
        waiting = {"started", "made"} & set(self.stages.values())
        free = bool(batch) and not waiting
        done = [n for n, s in enumerate(self.states) if s in ("verified", "live")]
        told = [f"r{n + 1}" for n in batch]
        version = f"v{len(self.forgets)}"
        forgets = [*[n for n in done if n not in batch], *batch]
        run = entry("run", version=version, batch=told, requests=[f"r{n + 1}" for n in forgets])
        if self.says(free and all(self.states[n] == "approved" for n in batch), run):
            self.stages[version], self.forgets[version] = "started", forgets
            self.batches[version] = batch
            for n in batch:
                self.states[n] = "processing"

    @rule(
        what=st.sampled_from(["made", "made", "verify", "verify", "fail", "split"]),
        n=st.none() | st.integers(0, 3),
    )
    def advance(self, what: str, n: int | None) -> None:
        """With the version that waits, or any other."""
        last = f"v{len(self.forgets) - 1}"
        made = what in ("made", "split")
        version = f"v{n}" if n is not None else (not made and self.waits()) or last
        stage = self.stages.get(version)
        can = stage is not None and version == self.waits()
        if made:
            can = stage == "started"
            if what == "split":
                can = can and len(self.batches[version]) > 1
        elif what == "fail":
            can = can or stage == "started"
        if not self.says(can, entry(what, version=version)):
            return
        if what == "verify" and stage == "made":
            for name, other in self.stages.items():
                self.stages[name] = "retired" if other == "candidate" else other
            self.stages[version] = "candidate"
        elif what != "verify":
            self.stages[version] = "made" if what == "made" else "failed"
        if what != "made":
            self.compared[version] = self.policy
            after = {"verify": "verified", "fail": "failed", "split": "approved"}[what]
            for r in self.batches[version]:
                self.states[r] = after

    @rule(n=st.integers(0, 3))
    def give_up(self, n: int) -> None:
        if n < len(self.states):
            made = entry("impossible", request=f"r{n + 1}")
            if self.says(self.states[n] == "approved", made):
                self.states[n] = "failed"

    @rule(policy=st.sampled_from("ab"))
    def change_policy(self, policy: str) -> None:
        if self.says(policy != self.policy, entry("policy", policy_sha256=policy)):
            self.policy = policy

    @rule(n=st.integers(0, 3))
    def promote(self, n: int) -> None:
        version = f"v{n}"
        stage, live = self.stages.get(version), self.stack[-1]
        can = stage in ("candidate", "canary") and self.compared[version] == self.policy
        can = can and set(self.forgets[live]) <= set(self.forgets[version])
        fit = {"verified", "rolled_back", "live"}
        if stage == "canary":
            can = can and all(self.states[r] in fit for r in self.forgets[version])
        if not self.says(can, entry("promote", version=version)):
            return
        if stage == "candidate":
            for name, other in self.stages.items():
                self.stages[name] = "retired" if other == "canary" else other
            self.stages[version] = "canary"
            return
        self.stages[live], self.stages[version] = "retired", "live"
        self.stack.append(version)
        for r in self.forgets[version]:
            self.states[r] = "live"

    @rule()
    def rollback(self) -> None:
        if self.says(len(self.stack) > 1, entry("rollback")):
            left = self.stack.pop()
            self.stages[left], self.stages[self.stack[-1]] = "rolled_back", "live"
            for r in set(self.forgets[left]) - set(self.forgets[self.stack[-1]]):
                self.states[r] = "rolled_back"

    @invariant()
    def agrees(self) -> None:
        assert [r.state for r in self.book.requests.values()] == self.states
        assert self.book.live.id == self.stack[-1]
        waits = self.book.unverified()
        assert (waits.id if waits else None) == self.waits()
        for name, stage in self.stages.items():
            assert self.book.versions[name].stage == stage
        # What the live model forgets is what is live.
        live = {n for n, state in enumerate(self.states) if state == "live"}
        assert live == set(self.forgets[self.stack[-1]])


TestCommands = Commands.TestCase
TestCommands.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
