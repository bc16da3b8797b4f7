"""Policies: what they may ask, and that a slip in one is named and never passed over."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support_certificate import (
    FORGOTTEN,
    NO_LEAK,
    card_of,
    policy_of,
    row,
    without,
    write_policy,
)

from erasekit.audit.verdict import MORE
from erasekit.certificate.judgement import NOT_MET, judge
from erasekit.certificate.policy import (
    DIRECTIONS,
    METRICS,
    SHIPPED,
    SUBSETS,
    check_against_audit,
    load_policy,
    parse_policy,
    policies,
)
from erasekit.errors import UsageError
from erasekit.evaluate.answer_scores import METRICS as ANSWERED


def test_shipped_policies_are_whole_and_fit_the_audit() -> None:
    names = {path.stem for path in SHIPPED.glob("*.yaml")}
    assert "example" in names
    assert {entry["name"] for entry in policies()} == names
    for name in names:
        policy = load_policy(name)
        check_against_audit(policy)
        assert policy.purpose
        sources = {criterion.source for criterion in policy.criteria}
        # A request for pictures without names has no audit.
        audited = name in ("example", "language")
        assert sources == ({"scorecard", "audit"} if audited else {"scorecard"})


@pytest.mark.parametrize("name", [path.stem for path in SHIPPED.glob("*.yaml")])
def test_over_forgetting_fails_every_shipped_policy(name: str) -> None:
    """Pairs of the forgotten pushed apart, to a similarity of −.92."""
    values = {"erased": -0.92, "original": 0.9, "oracle": -0.1}
    rows = [row(m, v, metric="similarity", direction="pair") for m, v in values.items()]
    rows.append(row("erased", -0.1, metric="similarity", subset="holdout", direction="pair"))
    results = {c.id: judge(c, card_of(*rows), None).result for c in load_policy(name).criteria}
    if name != "language":  # whose rows have no similarity: there the audit's verdict decides
        assert results["over-forgetting"] == NOT_MET
    for criterion in load_policy(name).criteria:
        assert MORE not in getattr(criterion, "verdict_in", [])


def test_a_shipped_policy_is_the_file_of_its_name() -> None:
    by_name, by_path = load_policy("example"), load_policy(SHIPPED / "example.yaml")
    assert by_name == by_path
    assert by_name.name == "deletion request"


def test_what_a_policy_holds_gives_the_same_policy_again() -> None:
    """A certificate holds it, and is verified by it."""
    policy = load_policy("example")
    again = parse_policy(policy.as_dict(), policy.origin, policy.sha256)
    assert again == policy


def test_the_names_are_those_of_a_scorecard(tiny_scorecard) -> None:
    rows = tiny_scorecard.rows
    asked = {*ANSWERED, "accuracy:name", "choice:name"}  # of language models
    assert set(METRICS) == {row.metric for row in rows} | asked | {"rank"}  # of requests
    assert set(SUBSETS) == {row.subset for row in rows}
    assert set(DIRECTIONS) == {row.direction for row in rows} | {"seen", "told"}


def test_numbers_are_numbers_and_defaults_are_filled_in(tmp_path: Path) -> None:
    path = write_policy(tmp_path / "p.yaml", {**FORGOTTEN, "at_most": 0}, NO_LEAK)
    first, second = load_policy(path).criteria
    assert first.at_most == 0.0
    assert (first.model, first.compare, first.use) == ("erased", "value", "value")
    assert second.as_dict()["verdict_in"] == NO_LEAK["verdict_in"]


BOUND = {**without(NO_LEAK, "verdict_in"), "metric": "top1", "at_most": 0.1}

SLIPS = {
    "unknown key": ({**FORGOTTEN, "atmost": 1}, "unknown key 'atmost': did you mean 'at_most'?"),
    "key of the other source": ({**FORGOTTEN, "test": "probes"}, "unknown key 'test'"),
    "unknown source": ({**FORGOTTEN, "source": "scorcard"}, "did you mean 'scorecard'?"),
    "no source": (without(FORGOTTEN, "source"), "give one of scorecard, audit"),
    "unknown metric": ({**FORGOTTEN, "metric": "topp1"}, "did you mean 'top1'?"),
    "unknown subset": ({**FORGOTTEN, "subset": "forgotten"}, "did you mean 'forget'?"),
    "unknown direction": ({**FORGOTTEN, "direction": "image_text"}, "'image_to_text'?"),
    "unknown model": ({**FORGOTTEN, "model": "earsed"}, "did you mean 'erased'?"),
    "unknown comparison": ({**FORGOTTEN, "compare": "drop"}, "drop_from_original"),
    "unknown end": ({**FORGOTTEN, "use": "upper"}, "known: value, low, high"),
    "unknown test": ({**NO_LEAK, "test": "prompt_leak"}, "did you mean 'prompt_leaks'?"),
    "no metric": (without(FORGOTTEN, "metric"), "metric is missing"),
    "no sentence": (without(FORGOTTEN, "about"), "about is missing"),
    "sentence of nothing": ({**FORGOTTEN, "about": " "}, "about must be text"),
    "no bound": (without(FORGOTTEN, "at_most"), "it has no bound: give one of at_most, at_least"),
    "two bounds": ({**FORGOTTEN, "at_least": 0}, "at_most and at_least are given"),
    "bound and verdict": ({**BOUND, "verdict_in": ["cannot tell"]}, "at_most and verdict_in"),
    "bound as text": ({**FORGOTTEN, "at_most": "5 %"}, "must be a number such as 0.05, not '5 %'"),
    "bound is true": ({**FORGOTTEN, "at_most": True}, "must be a number"),
    "bound is no number": ({**FORGOTTEN, "at_most": float("nan")}, "must be a number"),
    "endless bound": ({**FORGOTTEN, "at_most": float("inf")}, "must be a number"),
    "interval of a gap": ({**FORGOTTEN, "compare": "gap", "use": "high"}, "has no interval"),
    "bound on a whole test": (without(BOUND, "metric"), "a bound takes a metric"),
    "condition of a whole test": ({**NO_LEAK, "condition": "ja"}, "condition and model take"),
    "end of a verdict": ({**NO_LEAK, "use": "high"}, "not with verdict_in"),
    "no verdicts": ({**NO_LEAK, "verdict_in": []}, "must be a list of verdicts"),
    "verdict as text": ({**NO_LEAK, "verdict_in": "cannot tell"}, "must be a list of verdicts"),
    "language that YAML takes for no": ({**BOUND, "condition": False}, "must be text, not False"),
}


@pytest.mark.parametrize("case", SLIPS)
def test_a_slip_is_one_line_with_file_criterion_and_what_is_possible(
    case: str, tmp_path: Path
) -> None:
    entry, words = SLIPS[case]
    path = write_policy(tmp_path / "policy.yaml", entry)
    with pytest.raises(UsageError) as caught:
        load_policy(path)
    line = str(caught.value)
    assert words in line
    assert line.startswith(f"{path}: criterion '{entry['id']}': ")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2", "is not valid YAML"),
        ("- a\n- b\n", "is not a policy"),
        ("name: x\npurpose: y\n", "criteria is missing"),
        ("name: x\npurpose: y\ncriteria: []\n", "a list of one criterion or more"),
        ("name: x\npurpose: y\ncriteria: [forgotten]\n", "criterion 1 must have keys"),
        ("name: x\npurpose: y\ncriteria: [{about: z}]\n", "criterion 1: source is missing"),
        ("name: x\npurpose: y\ncriterions: []\n", "did you mean 'criteria'?"),
        ("requests: {reviewer: [a]}\n", ": requests: unknown key 'reviewer': did you mean"),
        ("name: x\nname: y\n", "'name' is given twice"),
        ("a: !!python/object/apply:os.getcwd []\n", "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_policy_is_named(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_policy(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bound_given_twice_is_not_the_last_one(tmp_path: Path) -> None:
    path = write_policy(tmp_path / "policy.yaml", FORGOTTEN)
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("at_most: 0.05", "at_most: 0.05\n  at_most: 0.5"), encoding="utf-8"
    )
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["criteria"][0]["at_most"] == 0.5
    with pytest.raises(UsageError, match="'at_most' is given twice"):
        load_policy(path)


def test_two_criteria_of_one_id() -> None:
    with pytest.raises(UsageError, match="two criteria have the id 'forgotten'"):
        policy_of(FORGOTTEN, {**FORGOTTEN, "at_most": 0.5})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("exmaple", "did you mean 'example'?"),
        ("none.yaml", "none.yaml is not a file"),
        ("a/b", "a/b is not a file"),
        (".", "is not a file"),
    ],
)
def test_a_policy_that_is_not_there(
    given: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        load_policy(given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({**BOUND, "metric": "topp1"}, "did you mean 'top1'?"),
        ({**NO_LEAK, "verdict_in": ["as oracle"]}, "did you mean 'as the oracle'?"),
    ],
)
def test_metrics_and_verdicts_are_held_against_the_audit(entry: dict, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_against_audit(policy_of(FORGOTTEN, entry))
    assert words in str(caught.value)
    assert str(caught.value).startswith("trial.yaml: criterion 'no-leak': unknown ")


def test_reading_a_policy_needs_no_torch() -> None:
    code = """
import sys
from erasekit.certificate.policy import load_policy
load_policy("example")
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("dora", ": requests must have keys, such as reviewers"),
        ({"reviewers": "dora"}, ": requests: reviewers must be a list of names, not 'dora'"),
        ({"reviewers": [3]}, ": requests: reviewers must be a list of names"),
        ({"deadline_days": 0}, ": requests: deadline_days must be a whole number of days"),
        ({"own_approval": "yes"}, ": requests: own_approval must be true or false, not 'yes'"),
    ],
)
def test_a_slip_in_the_rules_for_requests_is_named(rules, words: str) -> None:
    value = {"name": "x", "purpose": "y", "requests": rules, "criteria": [FORGOTTEN]}
    with pytest.raises(UsageError, match=re.escape(words)):
        parse_policy(value, "policy.yaml", "0" * 64)


def test_the_rules_for_requests_have_defaults() -> None:
    value = {"name": "x", "purpose": "y", "requests": {}, "criteria": [FORGOTTEN]}
    rules = parse_policy(value, "policy.yaml", "0" * 64).requests
    assert rules is not None
    assert (rules.reviewers, rules.own_approval, rules.deadline_days) == (None, False, 30)
