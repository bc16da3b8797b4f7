"""What people do with a request: file it, review it, and approve or refuse it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from erasekit.certificate.policy import Policy, load_policy
from erasekit.data.data_spec import FOLDER
from erasekit.data.drawn.concepts import select_concepts, split_concepts
from erasekit.data.folder.selection import Part, parse_rule
from erasekit.errors import UsageError, reason
from erasekit.files import sha256_file, sha256_json, write_bytes
from erasekit.requests.registry_folder import LISTS, POLICIES, Registry
from erasekit.requests.states import (
    DENIED,
    DUPLICATE,
    FAILED,
    NEEDS_INPUT,
    RECEIVED,
    Book,
    Request,
)
from erasekit.settings import Settings
from erasekit.text import shown


def add_request(registry: Registry, rule: str, why: str = "") -> Request:
    """Record a request; it is checked against the data and the policy first.

    A request that names things that are not there, beside things that are, needs input. A request
    for the same as another one is recorded as its duplicate.

    Args:
        rule: what to forget, as in the setting ``forget``. Lists of pictures are copied.
        why: the reason, or a reference such as the number of a letter.

    Raises:
        UsageError: when the rule selects nothing or everything, or something that the policy keeps;
            nothing is recorded then.
    """
    kept_rule = _with_own_lists(registry, rule)
    asked, missing = allowed(registry, kept_rule, rule)
    digest = sha256_json(sorted(asked))
    days = timedelta(days=registry.rules.deadline_days)

    def decide(book: Book) -> dict:
        same = [
            r
            for r in book.requests.values()
            if r.selection == digest and r.state not in (DENIED, FAILED, DUPLICATE)
        ]
        told = f"not found: {len(missing)}: {', '.join(map(shown, missing[:5]))}"
        entry = {
            "what": "add",
            "request": f"r{len(book.requests) + 1}",
            "rule": kept_rule,
            "selection": digest,
            "selected": len(asked),
            "why": "; ".join(filter(None, [why, told if missing else ""])),
            "due": (datetime.now().astimezone() + days).date().isoformat(),
            "state": DUPLICATE if same else NEEDS_INPUT if missing else RECEIVED,
        }
        return entry | ({"duplicate_of": same[0].id} if same else {})

    name = registry.add(decide)["request"]
    return registry.book.request(name)


def decide_request(registry: Registry, what: str, name: str, why: str = "") -> Request:
    """Review, ask back, approve or refuse a request.

    Args:
        what: review, ask, approve or refuse.
        why: the reason; required to ask and to refuse.

    Raises:
        UsageError: when the state of the request, or the policy, does not allow it.
    """
    rules, who = registry.rules, registry.who
    check_reviewer(registry)
    if what in ("ask", "refuse") and not why.strip():
        raise UsageError(f"{name}: say why, with --why TEXT")

    def decide(book: Book) -> dict:
        if what == "approve" and book.request(name).by == who and not rules.own_approval:
            raise UsageError(
                f"{who} filed {name} and cannot approve it: ask someone else, or allow "
                "own_approval in the policy"
            )
        return {"what": what, "request": name, "why": why}

    registry.add(decide)
    return registry.book.request(name)


def change_policy(registry: Registry, given: str, why: str) -> Policy:
    """Put another policy in force, and return it.

    Args:
        given: a policy file, or the name of a shipped policy.
        why: the reason; required.

    Raises:
        UsageError: when it is not a policy, or who acts may not decide by the policy in force.
    """
    check_reviewer(registry)
    if not why.strip():
        raise UsageError("say why the policy changes, with --why TEXT")
    policy = load_policy(given)
    if policy.sha256 == registry.policy.sha256:
        raise UsageError(f"{given} is the policy in force already")
    first = policy.sha256 == registry.config.policy_sha256  # of `init`, in force again
    if not first:
        content = Path(policy.origin).read_bytes()
        if hashlib.sha256(content).hexdigest() != policy.sha256:
            raise UsageError(f"{given} was changed just now: try again")
        write_bytes(registry.folder / POLICIES / f"{policy.sha256}.yaml", content)
    entry = {"what": "policy", "policy_sha256": "" if first else policy.sha256, "why": why}
    registry.add(lambda _: {**entry, "name": policy.name})
    return registry.policy


def check_reviewer(registry: Registry) -> None:
    """Refuse a person who may not decide by the policy in force."""
    reviewers = registry.rules.reviewers
    if reviewers is not None and registry.who not in reviewers:
        raise UsageError(
            f"{registry.who} is no reviewer by the policy: ask {' or '.join(reviewers)} "
            "(--as NAME says who acts)"
        )


def allowed(registry: Registry, rule: str, told: str = "") -> tuple[set[str], list[str]]:
    """What a rule selects, and what of it is not there.

    Args:
        told: the rule as it was given, for messages.

    Raises:
        UsageError: when it selects nothing or everything, or something that the policy keeps.
    """
    asked, missing = selected(registry.settings(joined(registry, [rule])))
    for kept in registry.rules.keep:
        try:
            both = asked & selected(registry.settings(joined(registry, [kept])))[0]
        except UsageError as error:
            raise UsageError(f"the policy has keep: {kept}, but {error}") from error
        if both:
            raise UsageError(
                f"forget = {told or rule} includes {shown(min(both))}, which the policy keeps "
                f"(keep: {kept}): ask for less, or change the policy"
            )
    return asked, missing


def selected(settings: Settings) -> tuple[set[str], list[str]]:
    """What the settings forget, concepts or pictures, and what of it is not there.

    Raises:
        UsageError: when that is nothing or everything.
    """
    if not settings.data.startswith(FOLDER):
        concepts = select_concepts(settings.concepts)
        forgotten = split_concepts(concepts, settings.forget)[0]
        return {concepts[i].name for i in forgotten}, []
    import numpy as np

    from erasekit.data.folder.check import read_folder
    from erasekit.data.folder.columns import Columns
    from erasekit.data.folder.selection import ask

    columns = Columns(settings.image_column, settings.caption_column)
    how = {"skip_bad": settings.skip_bad, "columns": columns, "progress": False}
    pairs = read_folder(settings.data, **how)
    found = ask(pairs, settings.forget)
    return set(pairs.listing.paths(np.unique(pairs.files[found.selected]))), list(found.missing)


def joined(registry: Registry, rules: Iterable[str]) -> str:
    """One rule that selects what any of these rules selects.

    Raises:
        UsageError: when the list of a request was changed.
    """
    if not registry.config.settings["data"].startswith(FOLDER):
        return ",".join(dict.fromkeys(part.strip() for rule in rules for part in rule.split(",")))
    parts, patterns = dict[Part, None](), dict[str, None]()
    for part in (part for rule in rules for part in parse_rule(rule)):
        if part.kind == "regex":
            patterns[part.value] = None
        elif part.kind == "files":
            parts[Part("files", str(_checked_list(registry, part.value)))] = None
        else:
            parts[part] = None
    if patterns:  # it takes the rest of a rule, so there is one, at the end
        parts[Part("regex", "|".join(f"(?:{p})" for p in patterns))] = None
    return ",".join(map(str, parts))


def _with_own_lists(registry: Registry, rule: str) -> str:
    """The rule with a copy of each list of pictures, since the list may change later."""
    if not registry.config.settings["data"].startswith(FOLDER):
        return rule
    parts = []
    for part in parse_rule(rule):
        if part.kind == "files":
            try:
                content = Path(part.value).expanduser().read_bytes()
            except OSError as error:
                raise UsageError(f"files={part.value} cannot be read: {reason(error)}") from error
            name = f"{hashlib.sha256(content).hexdigest()}.txt"
            write_bytes(registry.folder / LISTS / name, content)
            part = Part("files", f"{LISTS}/{name}")
        parts.append(str(part))
    return ",".join(parts)


def _checked_list(registry: Registry, value: str) -> Path:
    path = registry.folder / value
    if not value.startswith(f"{LISTS}/"):  # of the policy
        return Path(value).expanduser()
    if not path.is_file() or sha256_file(path) != path.stem:
        raise UsageError(f"{path} was changed or removed: put it back as it was")
    return path
