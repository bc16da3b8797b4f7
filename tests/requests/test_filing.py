"""Filing and deciding: what is refused, what needs input, and who may approve."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support_certificate import FORGOTTEN, write_keys, write_policy
from support_tiny import TINY

from erasekit.errors import UsageError
from erasekit.files import sha256_file
from erasekit.requests.filing import add_request, change_policy, decide_request, joined
from erasekit.requests.registry_folder import Registry
from erasekit.settings import Settings, make_settings


def registry_of(tmp_path: Path, settings: Settings, **rules: object) -> Registry:
    told = {"name": "trial", "purpose": "To try it.", "requests": rules, "criteria": [FORGOTTEN]}
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump(told), encoding="utf-8")
    return Registry.create(tmp_path / "reg", settings, str(policy), write_keys(tmp_path)[0], "ann")


@pytest.fixture
def drawn() -> Settings:
    return make_settings("smoke", **TINY)


def test_a_request_is_received_with_its_deadline(tmp_path: Path, drawn: Settings) -> None:
    found = add_request(registry_of(tmp_path, drawn, deadline_days=1), "banana", "letter 1")
    assert (found.id, found.state, found.by, found.why) == ("r1", "received", "ann", "letter 1")
    assert found.due > found.added[:10]


def test_the_same_in_other_words_is_a_duplicate_unless_refused(
    tmp_path: Path, drawn: Settings
) -> None:
    registry = registry_of(tmp_path, drawn)
    add_request(registry, "red apple,banana")
    again = add_request(registry, "Banana, Red-Apple")
    assert (again.state, again.duplicate_of) == ("duplicate", "r1")
    decide_request(registry, "refuse", "r1", "no proof of identity")
    assert add_request(registry, "banana,red apple").state == "received"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("bananna", "did you mean 'banana'"),
        ("fruit,bird", "at least 4 must stay"),
        ("owl", "owl, which the policy keeps .keep: owl.: ask for less"),
        ("", "forget is empty"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_not_recorded(
    tmp_path: Path, drawn: Settings, rule: str, words: str
) -> None:
    registry = registry_of(tmp_path, drawn, keep=["owl"])
    with pytest.raises(UsageError, match=words):
        add_request(registry, rule)
    assert not Registry(registry.folder).book.requests


def test_who_may_decide(tmp_path: Path, drawn: Settings) -> None:
    registry = registry_of(tmp_path, drawn, reviewers=["ann", "dora"])
    add_request(registry, "banana")
    decide_request(registry, "review", "r1")
    with pytest.raises(UsageError, match="ann filed r1 and cannot approve it"):
        decide_request(registry, "approve", "r1")
    with pytest.raises(UsageError, match="eve is no reviewer by the policy: ask ann or dora"):
        decide_request(Registry(registry.folder, "eve"), "approve", "r1")
    with pytest.raises(UsageError, match="say why"):
        decide_request(registry, "refuse", "r1")
    dora = Registry(registry.folder, "dora")
    assert decide_request(dora, "approve", "r1", "checked").state == "approved"
    assert [e["who"] for e in dora.log.entries] == ["ann", "ann", "ann", "dora"]


def test_own_approval_if_the_policy_allows_it(tmp_path: Path, drawn: Settings) -> None:
    registry = registry_of(tmp_path, drawn, own_approval=True)
    add_request(registry, "banana")
    decide_request(registry, "review", "r1")
    assert decide_request(registry, "approve", "r1").state == "approved"


def test_a_list_is_copied_and_what_of_it_is_not_there_needs_input(
    tmp_path: Path, own_folder: Path, own_parameters: dict
) -> None:
    registry = registry_of(tmp_path, make_settings("smoke", **own_parameters))
    picture = sorted(own_folder.rglob("*.png"))[0].relative_to(own_folder).as_posix()
    (tmp_path / "list.txt").write_text(f"{picture}\nnot/there.png\n")
    found = add_request(registry, f"files={tmp_path / 'list.txt'}")
    (tmp_path / "list.txt").unlink()
    assert found.state == "needs_input"
    assert found.why == "not found: 1: not/there.png"
    both = joined(registry, [found.rule, "regex=a,b", "word=apple", "regex=c"])
    listed, word, pattern = both.split(",", 2)
    assert Path(listed.removeprefix("files=")).read_text().startswith(picture)
    assert (word, pattern) == ("word=apple", "regex=(?:a,b)|(?:c)")
    Path(listed.removeprefix("files=")).write_text("other.png")
    with pytest.raises(UsageError, match="was changed or removed"):
        joined(registry, [found.rule])


def test_the_policy_is_changed_with_a_reason_by_who_may_decide(
    tmp_path: Path, drawn: Settings
) -> None:
    registry = registry_of(tmp_path, drawn, reviewers=["ann"], deadline_days=9)
    new = write_policy(tmp_path / "new.yaml", FORGOTTEN)
    first = registry.policy.sha256
    for who, given, why, words in (
        ("eve", new, "mine", "eve is no reviewer"),
        ("ann", new, " ", "say why the policy changes"),
        ("ann", tmp_path / "none.yaml", "why", "none.yaml is not a file"),
        ("ann", registry.folder / "policy.yaml", "why", "is the policy in force already"),
    ):
        with pytest.raises(UsageError, match=words):
            change_policy(Registry(registry.folder, who), str(given), why)
    assert change_policy(registry, str(new), "the law changed").requests is None
    entry = Registry(registry.folder).log.entries[-1]
    assert {k: entry[k] for k in ("what", "who", "why", "policy_sha256")} == {
        "what": "policy",
        "who": "ann",
        "why": "the law changed",
        "policy_sha256": sha256_file(new),
    }
    new.unlink()  # the registry keeps it
    again = Registry(registry.folder, "eve")
    assert again.rules.reviewers is None
    change_policy(again, str(registry.folder / "policy.yaml"), "back")
    assert Registry(registry.folder).policy.sha256 == first


def test_a_policy_in_force_that_was_changed_by_hand_is_named(
    tmp_path: Path, drawn: Settings
) -> None:
    registry = registry_of(tmp_path, drawn)
    change_policy(registry, str(write_policy(tmp_path / "new.yaml", FORGOTTEN)), "why")
    kept = next((registry.folder / "policies").iterdir())
    kept.write_text(kept.read_text() + "\n")
    with pytest.raises(UsageError, match=f"{kept.name} was changed since"):
        Registry(registry.folder)
