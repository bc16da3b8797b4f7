"""The states of requests and versions, and how each entry of the log changes them.

A `Book` is what the entries say, applied one by one. Nothing else holds a state, so that the log
and the states cannot disagree. An entry that does not fit the states is refused.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from erasekit.errors import UsageError, unknown

RECEIVED, NEEDS_INPUT, IN_REVIEW = "received", "needs_input", "in_review"
APPROVED, DENIED, PROCESSING, VERIFIED = "approved", "denied", "processing", "verified"
FAILED, LIVE, ROLLED_BACK, DUPLICATE = "failed", "live", "rolled_back", "duplicate"
#: Every state of a request, with those in which somebody has to act first.
STATES = (
    *(RECEIVED, NEEDS_INPUT, IN_REVIEW, APPROVED, PROCESSING, VERIFIED, FAILED, ROLLED_BACK),
    *(LIVE, DENIED, DUPLICATE),
)
OPEN = STATES[:8]

#: What may happen to a request: in which states, and the state after it.
TRANSITIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "review": ((RECEIVED, NEEDS_INPUT), IN_REVIEW),
    "ask": ((RECEIVED, IN_REVIEW), NEEDS_INPUT),
    "approve": ((IN_REVIEW, FAILED, ROLLED_BACK), APPROVED),
    "refuse": ((RECEIVED, NEEDS_INPUT, IN_REVIEW, FAILED, ROLLED_BACK), DENIED),
    "run": ((APPROVED,), PROCESSING),
    "impossible": ((APPROVED,), FAILED),
    "verify": ((PROCESSING, VERIFIED), VERIFIED),
    "fail": ((PROCESSING, VERIFIED), FAILED),
    "split": ((PROCESSING,), APPROVED),
    "live": ((VERIFIED, ROLLED_BACK, LIVE), LIVE),
    "rollback": ((LIVE,), ROLLED_BACK),
}
#: Stages of a version. The version `ORIGINAL`, the model before any request, is live at first.
STARTED, MADE, CANDIDATE, CANARY, RETIRED = "started", "made", "candidate", "canary", "retired"
ORIGINAL = "v0"
#: The next stage of a version when it is promoted.
NEXT = {CANDIDATE: CANARY, CANARY: LIVE}


@dataclass
class Request:
    """One request.

    Attributes:
        id: r1, r2 and so on.
        rule: what to forget, as in the setting ``forget``.
        selection: hash of what the rule selects, equal for equal requests.
        by, added, why: who filed it, when, and the reason or reference.
        due: the day by which it must be live.
        state: one of `STATES`.
        version: the last version that was made for it.
        duplicate_of: the earlier request for the same.
        entries: places of the entries about it in the log.
    """

    id: str
    rule: str
    selection: str
    by: str
    added: str
    why: str
    due: str
    state: str
    version: str = ""
    duplicate_of: str = ""
    entries: list[int] = field(default_factory=list)


@dataclass
class Version:
    """One model: the original, erased of all `requests` at once.

    Attributes:
        batch: the requests for which it was made; the others were fulfilled before.
        stage: started, made, failed, candidate, canary, live, retired or rolled_back.
        policy: hash of the policy that it was last compared with, as `Book.policy`.
    """

    id: str
    made: str
    batch: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    stage: str = STARTED
    policy: str = ""


class Book:
    """The requests, the versions and the live version after some entries."""

    def __init__(self, entries: Iterable[Mapping[str, Any]] = ()) -> None:
        self.requests: dict[str, Request] = {}
        self.versions: dict[str, Version] = {}
        #: Requests whose version failed with others in it: each is tried alone.
        self.apart: set[str] = set()
        #: Versions that were made live and not rolled back; the last one is live.
        self.lives: list[str] = []
        #: Hash of the policy in force; empty while it is the one of `init`.
        self.policy = ""
        self.size = 0
        self.last = ""
        for entry in entries:
            self.apply(entry)

    @property
    def live(self) -> Version:
        return self.versions[self.lives[-1]]

    def staged(self, *stages: str) -> Version | None:
        """The newest version in one of these stages."""
        found = [version for version in self.versions.values() if version.stage in stages]
        return found[-1] if found else None

    def unverified(self) -> Version | None:
        """The version that is to be compared with the policy next.

        It was just made, or it was compared with an earlier policy.
        """
        waiting = [
            v for v in map(self.staged, (CANARY, CANDIDATE)) if v and v.policy != self.policy
        ]
        return self.staged(MADE) or (waiting[0] if waiting else None)

    def request(self, name: str) -> Request:
        if name not in self.requests:
            raise unknown("request", name, self.requests, "See `erasekit requests list`.")
        return self.requests[name]

    def version(self, name: str) -> Version:
        if name not in self.versions:
            raise unknown("version", name, self.versions, "See `erasekit requests list`.")
        return self.versions[name]

    def in_state(self, *states: str) -> list[Request]:
        return [request for request in self.requests.values() if request.state in states]

    def aliases(self) -> dict[str, str]:
        """The version under each alias in use: candidate, canary and live."""
        found = {name: self.staged(name) for name in (CANDIDATE, CANARY)}
        return {**{k: v.id for k, v in found.items() if v}, LIVE: self.live.id}

    def check(self, entry: Mapping[str, Any]) -> None:
        """Refuse an entry as `apply` does, and change nothing."""
        copy.deepcopy(self).apply({"at": self.last, **entry})

    def apply(self, entry: Mapping[str, Any]) -> None:
        """Change the states as an entry says; a refused entry changes nothing.

        Raises:
            UsageError: when the entry does not fit the states.
        """
        what = entry["what"]
        if (what == "init") is not (self.size == 0):
            raise UsageError(f"{what} is out of place: the log begins with init, once")
        if what not in _ENTRIES:
            raise unknown("entry", what, _ENTRIES)
        touched = _ENTRIES[what](self, entry)
        for request in touched:
            request.entries.append(self.size)
        self.size += 1
        self.last = entry["at"]

    def _init(self, entry: Mapping[str, Any]) -> list[Request]:
        self.versions[ORIGINAL] = Version(ORIGINAL, entry["at"], stage=LIVE)
        self.lives.append(ORIGINAL)
        return []

    def _add(self, entry: Mapping[str, Any]) -> list[Request]:
        names = ("rule", "selection", "why", "due", "state", "duplicate_of")
        told = {name: entry[name] for name in names if name in entry}
        if entry["request"] != f"r{len(self.requests) + 1}":
            raise UsageError(f"{entry['request']} is not the next request")
        if told["state"] not in (RECEIVED, NEEDS_INPUT, DUPLICATE):
            raise UsageError(f"{entry['request']} cannot begin as {told['state']}")
        made = Request(entry["request"], by=entry["who"], added=entry["at"], **told)
        self.requests[made.id] = made
        return [made]

    def _policy(self, entry: Mapping[str, Any]) -> list[Request]:
        if entry["policy_sha256"] == self.policy:
            raise UsageError("this is the policy in force already")
        self.policy = entry["policy_sha256"]
        return []

    def _move(self, entry: Mapping[str, Any]) -> list[Request]:
        """What a person decides about one request."""
        return self._all(entry["what"], [entry["request"]])

    def _run(self, entry: Mapping[str, Any]) -> list[Request]:
        if waiting := self.staged(STARTED, MADE):
            raise UsageError(
                f"{waiting.id} is not verified yet: `erasekit requests verify` first, since each "
                "version builds on the one before"
            )
        if entry["version"] != f"v{len(self.versions)}" or not entry["batch"]:
            raise UsageError(f"{entry['version']} is not the next version, or has no requests")
        touched = self._all("run", entry["batch"])
        self.apart -= set(entry["batch"])
        self.versions[entry["version"]] = Version(
            entry["version"], entry["at"], tuple(entry["batch"]), tuple(entry["requests"])
        )
        for request in touched:
            request.version = entry["version"]
        return touched

    def _made(self, entry: Mapping[str, Any]) -> list[Request]:
        version = self._in_stage(entry, STARTED, mend="it is not being made")
        version.stage = MADE
        return [self.requests[name] for name in version.batch]

    def _verify(self, entry: Mapping[str, Any]) -> list[Request]:
        version = self._waiting(entry)
        touched = self._all("verify", version.batch)
        if version.stage == MADE:
            if older := self.staged(CANDIDATE):
                older.stage = RETIRED
            version.stage = CANDIDATE
        version.policy = self.policy
        return touched

    def _fail(self, entry: Mapping[str, Any]) -> list[Request]:
        version = self.version(entry["version"])
        if version.stage != STARTED:
            version = self._waiting(entry)
        version.stage = FAILED
        return self._all("fail", version.batch)

    def _split(self, entry: Mapping[str, Any]) -> list[Request]:
        """A version of several requests failed: which of them is to blame, the next ones tell."""
        version = self._in_stage(entry, STARTED, mend="only what is being made is split")
        if len(version.batch) < 2:
            raise UsageError(f"{version.id} is for one request: there is nothing to split")
        touched = self._all("split", version.batch)
        version.stage = FAILED
        self.apart |= set(version.batch)
        return touched

    def _promote(self, entry: Mapping[str, Any]) -> list[Request]:
        version = self._in_stage(
            entry, *NEXT, mend="only a verified candidate or canary is promoted"
        )
        lost = [n for n in self.live.requests if n not in version.requests]
        if version.policy != self.policy:
            raise UsageError(
                f"{version.id} was compared with an earlier policy: `erasekit requests verify` "
                "comes first"
            )
        if lost:
            raise UsageError(
                f"{version.id} does not forget {', '.join(lost)}, which {self.live.id} does: "
                "promote a newer version"
            )
        if NEXT[version.stage] == CANARY:
            if older := self.staged(CANARY):
                older.stage = RETIRED
            version.stage = CANARY
            return []
        touched = self._all("live", version.requests)
        self.live.stage = RETIRED
        version.stage = LIVE
        self.lives.append(version.id)
        return touched

    def _rollback(self, entry: Mapping[str, Any]) -> list[Request]:
        if len(self.lives) < 2:
            raise UsageError(f"{self.live.id} is the first live model: nothing to roll back to")
        left, back = self.live, self.versions[self.lives[-2]]
        undone = [name for name in left.requests if name not in back.requests]
        touched = self._all("rollback", undone)
        self.lives.pop()
        left.stage, back.stage = ROLLED_BACK, LIVE
        return touched

    def _waiting(self, entry: Mapping[str, Any]) -> Version:
        version = self.version(entry["version"])
        if version is not self.unverified():
            raise UsageError(
                f"{version.id} is {version.stage}: only a version that was just made, or compared "
                "with an earlier policy, is verified or fails"
            )
        return version

    def _in_stage(self, entry: Mapping[str, Any], *stages: str, mend: str) -> Version:
        version = self.version(entry["version"])
        if version.stage not in stages:
            raise UsageError(f"{version.id} is {version.stage}: {mend}")
        return version

    def _all(self, what: str, names: Iterable[str]) -> list[Request]:
        """Move requests to the state after `what`: all of them, or none."""
        before, after = TRANSITIONS[what]
        moved = [self.request(name) for name in names]
        for request in moved:
            if request.state not in before:
                raise UsageError(
                    f"{request.id} is {request.state}: {what} takes a request that is "
                    f"{' or '.join(before)}"
                )
        for request in moved:
            request.state = after
        return moved


_ENTRIES: dict[str, Callable[[Book, Mapping[str, Any]], list[Request]]] = {
    "init": Book._init,
    "add": Book._add,
    **dict.fromkeys(("review", "ask", "approve", "refuse", "impossible"), Book._move),
    "policy": Book._policy,
    "run": Book._run,
    "made": Book._made,
    "verify": Book._verify,
    "fail": Book._fail,
    "split": Book._split,
    "promote": Book._promote,
    "rollback": Book._rollback,
}
