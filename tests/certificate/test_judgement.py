"""Criteria against numbers: met exactly when the arithmetic says so, never for want of one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support_certificate import (
    FORGOTTEN,
    NO_LEAK,
    audit_of,
    audit_row,
    card_of,
    policy_of,
    row,
    without,
)

from erasekit.audit.verdict import AS_THE_ORACLE, CANNOT_TELL, LESS
from erasekit.certificate.judgement import (
    ALREADY_MET,
    MET,
    NOT_MET,
    NOT_TESTED,
    Judgement,
    judge,
    overall,
)

EMPTY = card_of()
BOUND = {**without(NO_LEAK, "verdict_in"), "metric": "top1"}


def judged(entry: dict, card=EMPTY, audit=None) -> Judgement:
    (criterion,) = policy_of(entry).criteria
    return judge(criterion, card, audit)


# --- on the scorecard -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "result"), [(0.0, MET), (0.05, MET), (0.050001, NOT_MET), (1.0, NOT_MET)]
)
def test_at_most(value: float, result: str) -> None:
    found = judged(FORGOTTEN, card_of(row("erased", value)))
    assert found.result == result
    assert found.found[0].value == value
    assert (found.found[0].low, found.found[0].high) == pytest.approx((value - 0.02, value + 0.02))


@pytest.mark.parametrize(("value", "result"), [(0.9, MET), (0.899999, NOT_MET)])
def test_at_least(value: float, result: str) -> None:
    entry = {**without(FORGOTTEN, "at_most"), "at_least": 0.9}
    assert judged(entry, card_of(row("erased", value))).result == result


@pytest.mark.parametrize(("use", "value"), [("low", 0.02), ("value", 0.04), ("high", 0.06)])
def test_an_end_of_the_interval_in_place_of_the_value(use: str, value: float) -> None:
    found = judged({**FORGOTTEN, "use": use}, card_of(row("erased", 0.04)))
    assert found.found[0].value == pytest.approx(value)
    assert found.result == (MET if value <= 0.05 else NOT_MET)


def test_directions_are_averaged_unless_one_is_named() -> None:
    card = card_of(
        row("erased", 0.02, metric="recall@1"),
        row("erased", 0.06, metric="recall@1", direction="text_to_image"),
        row("oracle", 0.9, metric="recall@1"),
        row("erased", 0.9, metric="recall@1", subset="retain"),
    )
    entry = {**FORGOTTEN, "metric": "recall@1"}
    assert judged(entry, card).found[0].value == pytest.approx(0.04)
    assert judged(entry, card).result == MET
    assert judged({**entry, "direction": "text_to_image"}, card).result == NOT_MET


@pytest.mark.parametrize(
    ("compare", "value"), [("gap", 0.25 - 0.75), ("drop_from_original", 1.0 - 0.25)]
)
def test_differences_have_their_sign(compare: str, value: float) -> None:
    card = card_of(row("original", 1.0), row("erased", 0.25), row("oracle", 0.75))
    found = judged({**FORGOTTEN, "compare": compare}, card)
    assert found.found[0].value == value
    assert found.found[0].low is None
    assert found.result == (MET if value <= 0.05 else NOT_MET)


def test_what_is_above_pictures_never_seen() -> None:
    card = card_of(row("erased", 0.25), row("erased", 0.2, subset="holdout"), row("original", 0.9))
    entry = {**FORGOTTEN, "compare": "minus_holdout"}
    assert judged(entry, card).found[0].value == pytest.approx(0.05)
    assert judged({**entry, "at_most": 0.04}, card).result == NOT_MET
    assert judged(entry, card_of(row("erased", 0.25))).result == NOT_TESTED


@pytest.mark.parametrize(
    ("entry", "original", "result"),
    [
        (FORGOTTEN, 0.051, MET),
        (FORGOTTEN, 0.05, ALREADY_MET),
        ({**FORGOTTEN, "compare": "gap"}, 0.06, ALREADY_MET),
        ({**FORGOTTEN, "compare": "drop_from_original"}, 0.02, MET),
        ({**FORGOTTEN, "subset": "retain"}, 0.02, MET),
        ({**FORGOTTEN, "at_most": 0.01}, 0.0, NOT_MET),
    ],
)
def test_what_the_original_met_too_is_no_forgetting(entry: dict, original: float, result) -> None:
    values = {"original": original, "erased": 0.02, "oracle": 0.02}
    rows = [row(m, v, subset=s) for m, v in values.items() for s in ("forget", "retain")]
    found = judged(entry, card_of(*rows))
    assert found.result == result
    assert ("the original met it too" in found.reason) == (result == ALREADY_MET)


def test_a_bound_of_the_audit_may_be_already_met() -> None:
    rows = [audit_row("ja", v, AS_THE_ORACLE, model=m) for m, v in (("erased", 0), ("original", 0))]
    assert judged({**BOUND, "at_most": 0.1}, audit=audit_of(*rows)).result == ALREADY_MET
    assert judged({**NO_LEAK, "metric": "top1"}, audit=audit_of(rows[0])).result == MET


def test_a_bound_met_exactly_is_not_broken_by_the_arithmetic_of_floats() -> None:
    assert 0.93 - 0.83 > 0.10
    card = card_of(row("original", 0.93), row("erased", 0.83))
    entry = {**FORGOTTEN, "compare": "drop_from_original", "at_most": 0.10}
    assert judged(entry, card).result == MET
    card = card_of(row("original", 0.93), row("erased", 0.829999))
    assert judged(entry, card).result == NOT_MET


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({**FORGOTTEN, "metric": "top5"}, "no top5 on forget for erased"),
        ({**FORGOTTEN, "direction": "pair"}, "no top1 on forget pair for erased"),
        ({**FORGOTTEN, "compare": "gap"}, "no top1 on forget for oracle"),
        ({**FORGOTTEN, "model": "control"}, "no top1 on forget for control"),
    ],
)
def test_what_the_scorecard_lacks_is_not_tested(entry: dict, words: str) -> None:
    found = judged(entry, card_of(row("erased", 0.0), row("original", 1.0)))
    assert found.result == NOT_TESTED
    assert words in found.reason
    assert found.found == ()


@pytest.mark.parametrize(("pairs", "result"), [(5, NOT_TESTED), (6, MET)])
def test_recall_among_as_few_pairs_as_it_counts_is_not_tested(pairs: int, result: str) -> None:
    entry = {**FORGOTTEN, "metric": "recall@5", "subset": "retain", "at_most": 1}
    of = replace(row("erased", 1.0, metric="recall@5", subset="retain"), n=pairs)
    assert judged(entry, card_of(of)).result == result


def test_a_number_that_is_none_is_not_tested() -> None:
    assert judged(FORGOTTEN, card_of(row("erased", float("nan")))).result == NOT_TESTED


# --- on the audit ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "result"), [(AS_THE_ORACLE, MET), (CANNOT_TELL, MET), (LESS, NOT_MET)]
)
def test_the_verdict_of_a_test(verdict: str, result: str) -> None:
    found = judged(NO_LEAK, audit=audit_of(verdict=verdict))
    assert found.result == result
    assert found.found[0].value == verdict
    assert found.reason == "3 of 4"


def test_every_row_of_a_metric_must_meet_it() -> None:
    rows = [
        audit_row("new template", 0.0, AS_THE_ORACLE),
        audit_row("upper case", 0.4, LESS),
        audit_row("upper case", 0.9, LESS, model="original"),
        audit_row("upper case", 0.9, LESS, metric="similarity"),
        audit_row("upper case", 0.9, LESS, test="probes"),
    ]
    audit = audit_of(*rows)
    by_word = {**NO_LEAK, "metric": "top1"}
    found = judged(by_word, audit=audit)
    assert (found.result, [each.met for each in found.found]) == (NOT_MET, [True, False])
    assert found.reason == "because of new template; because of upper case"
    assert judged({**by_word, "condition": "new template"}, audit=audit).result == MET
    found = judged({**BOUND, "at_most": 0.1}, audit=audit)
    assert [(each.condition, each.value) for each in found.found] == [
        ("new template", 0.0),
        ("upper case", 0.4),
    ]
    assert found.result == NOT_MET
    assert judged({**BOUND, "at_most": 0.4}, audit=audit).result == MET


@pytest.mark.parametrize(("use", "value"), [("value", 0.10), ("low", 0.05), ("high", 0.15)])
def test_the_gap_of_an_audit_has_an_interval(use: str, value: float) -> None:
    audit = audit_of(audit_row("upper case", 0.4, LESS))
    entry = {**BOUND, "compare": "gap", "use": use, "at_most": 0.12}
    found = judged(entry, audit=audit)
    assert found.found[0].value == value
    assert found.result == (MET if value <= 0.12 else NOT_MET)


@pytest.mark.parametrize(
    ("entry", "audit", "words"),
    [
        (NO_LEAK, None, "not audited"),
        ({**NO_LEAK, "test": "probes"}, audit_of(), "did not run the test probes"),
        ({**BOUND, "at_most": 1}, audit_of(), "prompt_leaks has no top1 for erased"),
        (
            {**BOUND, "at_most": 1, "condition": "rhymes"},
            audit_of(audit_row("upper case", 0.0, AS_THE_ORACLE)),
            "has no top1 under 'rhymes'",
        ),
        (
            {**BOUND, "at_most": 1, "compare": "gap"},
            audit_of(audit_row("upper case", 0.0, CANNOT_TELL, gap=None)),
            "no oracle to compare with",
        ),
        (  # its gap is to the original, which is not what a policy asks about
            {**BOUND, "at_most": 1, "compare": "gap"},
            audit_of(audit_row("upper case", 0.0, CANNOT_TELL, gap=-0.9), oracles=0),
            "no oracle to compare with",
        ),
        (
            {**NO_LEAK, "metric": "top1", "model": "oracle"},
            audit_of(audit_row("upper case", 0.0, None, model="oracle")),
            "gives oracle no verdict",
        ),
        (
            {**BOUND, "at_most": 1},
            audit_of(audit_row("upper case", float("nan"), CANNOT_TELL)),
            "not a finite number",
        ),
    ],
)
def test_what_the_audit_lacks_is_not_tested(entry: dict, audit, words: str) -> None:
    found = judged(entry, audit=audit)
    assert found.result == NOT_TESTED
    assert words in found.reason


# --- all together ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "result"),
    [
        ([MET, MET], MET),
        ([MET, NOT_TESTED], NOT_TESTED),
        ([NOT_TESTED, NOT_MET, MET], NOT_MET),
        ([ALREADY_MET, NOT_MET], NOT_MET),
        ([ALREADY_MET, MET], MET),
        ([ALREADY_MET, ALREADY_MET], NOT_TESTED),
    ],
)
def test_one_result_for_all(results: list[str], result: str) -> None:
    forgetting = [Judgement(each, "", of_forgetting=True) for each in results]
    assert overall(forgetting) == result
    kept = Judgement(MET, "")
    assert overall([*forgetting, kept]) == result  # what was kept shows no forgetting
