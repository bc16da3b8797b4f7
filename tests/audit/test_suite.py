"""The audit as a whole: rows, verdicts of tests, the file, and the known answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from erasekit.audit.attack_registry import TESTS, check_names
from erasekit.audit.base import AuditTest, Estimate, Measure, Metric, Result, is_oracle
from erasekit.audit.known_answers import KNOWN, KnownAnswers
from erasekit.audit.suite import Audit, judge_measures, report_on
from erasekit.audit.verdict import AS_THE_ORACLE, CANNOT_TELL, LESS, MORE
from erasekit.errors import RunError, UsageError

MODELS = ("original", "erased", "oracle", "oracle-1", "oracle-2")


def measure(model: str, metric: str, value: float, condition: str = "", **more) -> Measure:
    return Measure(model, metric, condition, Estimate(value, np.full(50, value), 20), **more)


def a_test(*metrics: Metric) -> AuditTest:
    return AuditTest("made_up", "made up", "Is it?", "nobody", lambda: None, metrics)


def test_names_are_the_registrys_and_each_test_is_complete():
    assert " ".join(TESTS) == (
        "prompt_leaks language_leaks composition_leaks domain_shift compression relearning "
        "probes membership lira over_forgetting downstream"
    )
    for name, test in TESTS.items():
        assert test.name == name
        assert test.title
        assert test.question.endswith("?")
        assert test.source
        assert test.metrics
    assert [test.name for test in TESTS.values() if test.opt_in] == ["lira"]


def test_a_misspelt_test_is_named_with_the_nearest():
    assert check_names(["probes", "probes"]) == ("probes",)
    with pytest.raises(UsageError, match="relearning"):
        check_names(["relerning"])


def test_each_value_is_held_against_the_mean_of_the_oracles():
    test = a_test(Metric("top1", "top-1", "remembered"))
    values = dict(zip(MODELS, (0.9, 0.5, 0.10, 0.12, 0.14), strict=True))
    rows = judge_measures(test, Result([measure(m, "top1", v) for m, v in values.items()]))
    by_model = {row.model: row for row in rows}
    assert by_model["erased"].gap == pytest.approx(0.5 - 0.12)
    assert by_model["erased"].verdict == by_model["original"].verdict == LESS
    # An oracle is held against the others, and not judged.
    assert by_model["oracle"].gap == pytest.approx(0.10 - 0.13)
    assert by_model["oracle"].verdict is None


def test_a_leak_anywhere_is_the_tests_verdict_and_is_named():
    test = a_test(Metric("top1", "top-1", "remembered"), Metric("kept", "kept", "kept"))
    measures = [
        measure(model, "top1", 0.8 if (model, condition) == ("erased", "b") else 0.1, condition)
        for model in MODELS
        for condition in "abcdef"
    ]
    measures += [measure(model, "kept", 0.9) for model in MODELS]
    result = Result(measures)
    rows = judge_measures(test, result)
    mean = next(row for row in rows if (row.model, row.condition) == ("erased", "mean"))
    assert mean.value == pytest.approx((5 * 0.1 + 0.8) / 6)
    report = report_on("erased", test, result, rows)
    assert report.verdict == LESS
    assert report.reason == "1 of 8 values: top-1 (b)"


def test_as_the_oracle_is_said_by_the_mean_of_what_must_acquit():
    test = a_test(
        Metric("top1", "top-1", "remembered"), Metric("more", "more", "remembered", acquits=False)
    )
    values = dict(zip(MODELS, (0.9, 0.1, 0.1, 0.1, 0.1), strict=True))
    vague = Estimate(0.1, 0.1 + np.random.default_rng(0).normal(0, 0.2, 50), 20)
    measures = [measure(m, "top1", v, c) for m, v in values.items() for c in ("a", "b")]
    measures += [measure(m, "more", v) for m, v in values.items() if m != "erased"]
    measures.append(Measure("erased", "more", "", vague))
    result = Result(measures)
    report = report_on("erased", test, result, judge_measures(test, result))
    assert report.verdict == AS_THE_ORACLE
    assert report.reason.startswith("top-1 (mean): the whole interval")


def test_what_the_original_does_not_know_is_left_out_of_the_verdict():
    test = a_test(Metric("top1", "top-1", "remembered", if_original_knows=True))
    measures = [
        measure(m, "top1", v, "known", chance=0.1)
        for m, v in zip(MODELS, (0.9, 0, 0, 0, 0), strict=True)
    ]
    measures += [measure(m, "top1", 0.0, "unknown", chance=0.1) for m in MODELS]
    result = Result(measures)
    rows = judge_measures(test, result)
    assert "mean" not in {row.condition for row in rows}, "one condition has no mean"
    report = report_on("erased", test, result, rows)
    assert report.verdict == AS_THE_ORACLE
    nothing = Result(measures[len(MODELS) :])
    silent = report_on("erased", test, nothing, judge_measures(test, nothing))
    assert silent.verdict == CANNOT_TELL
    assert "original does no better than guessing" in silent.reason


def test_without_oracles_gaps_are_to_the_original_and_every_verdict_is_cannot_tell():
    test = a_test(Metric("top1", "top-1", "remembered"))
    result = Result([measure("original", "top1", 0.9), measure("erased", "top1", 0.2)])
    rows = judge_measures(test, result)
    report = report_on("erased", test, result, rows)
    assert report.verdict == CANNOT_TELL
    assert "no oracle" in report.reason
    gaps = {row.model: row.gap for row in rows}
    assert gaps == {"original": None, "erased": pytest.approx(-0.7)}


def test_what_is_only_reported_never_has_a_gap_to_the_original_beside_gaps_to_oracles():
    test = a_test(Metric("top1", "top-1", "remembered"), Metric("index", "index", "reported"))
    values = dict(zip(MODELS, (0.9, 0.5, 0.1, 0.1, 0.1), strict=True))
    measures = [measure(m, "top1", v) for m, v in values.items()]
    measures += [measure(m, "index", 0.5) for m in ("original", "erased")]
    rows = judge_measures(test, Result(measures))
    assert {row.gap for row in rows if row.metric == "index"} == {None}
    assert None not in {row.gap for row in rows if row.metric == "top1"}


def test_names_of_oracles():
    assert [is_oracle(m) for m in (*MODELS, "oracles", "an oracle")] == [False] * 2 + [True] * 3 + [
        False
    ] * 2


@pytest.fixture(scope="module")
def small(tiny_experiment, tiny_erasure) -> Audit:
    return tiny_experiment.audit(
        tiny_erasure.model, tests=["prompt_leaks", "over_forgetting"], oracles=2
    )


def test_an_audit_has_a_row_for_every_model(small: Audit):
    frame = small.frame()
    for _, part in frame.groupby(["test", "metric", "condition"]):
        assert set(part["model"]) == {"original", "erased", "oracle", "oracle-1"}
    assert frame["low"].le(frame["high"]).all()
    assert [oracle["seed"] for oracle in small.oracles] == [0, 1]
    assert list(small.verdicts) == ["prompt_leaks", "over_forgetting"]
    assert all(f" of {len(small.tests)}" in part for part in small.verdict.split("; "))


def test_the_file_gives_back_the_audit(small: Audit, tmp_path: Path):
    path = small.save(tmp_path / "audit.json")
    found = Audit.load(path)
    assert found.verdicts == small.verdicts
    assert found.as_dict() == json.loads(json.dumps(small.as_dict()))
    value = json.loads(path.read_text(encoding="utf-8"))
    assert {"test", "model", "metric", "value", "low", "high", "gap", "verdict"} <= set(
        value["rows"][0]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.update(version=9), "version 9"),
        (lambda v: v.pop("rows"), "not an audit"),
        (lambda v: v["rows"][0].pop("gap"), "not an audit"),
    ],
)
def test_a_damaged_file_is_refused(small: Audit, tmp_path: Path, change, words):
    value = small.as_dict()
    change(value)
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(RunError, match=words):
        Audit.load(path)


def test_a_value_that_is_not_there_cannot_be_asked_for(small: Audit):
    with pytest.raises(RunError, match="did not run"):
        small.report("probes")
    with pytest.raises(RunError, match="has no nothing"):
        small.value("prompt_leaks", "nothing", "")


def test_the_same_audit_twice_is_the_same(small: Audit, tiny_experiment, tiny_erasure):
    again = tiny_experiment.audit(
        tiny_erasure.model, tests=["prompt_leaks", "over_forgetting"], oracles=2
    )
    assert [asdict(row) for row in again.rows] == [asdict(row) for row in small.rows]


def test_shadow_models_are_trained_only_when_asked_for(
    tiny_experiment, tiny_erasure, tmp_path: Path
):
    found = tiny_experiment.audit(
        tiny_erasure.model, tests=["over_forgetting"], oracles=2, shadows=4
    )
    assert list(found.verdicts) == ["over_forgetting", "lira"]
    asked = Audit.load(found.save(tmp_path / "audit.json")).settings["options"]["lira"]
    assert asked["shadows"] == 4
    assert asked["train"]["steps"] == tiny_experiment.train_spec.steps


def test_known_answers_are_right_only_if_every_verdict_is():
    good = {
        "itself": {"relearning": LESS, "probes": AS_THE_ORACLE, "over_forgetting": LESS},
        "random": {"over_forgetting": MORE, "probes": CANNOT_TELL},
        "another-seed": {"prompt_leaks": AS_THE_ORACLE, "probes": CANNOT_TELL},
        "forgetting-alone": {"over_forgetting": MORE, "probes": LESS},
    }
    assert KnownAnswers(good).right
    assert "right about all" in KnownAnswers(good).text()
    for model, test, wrong in (
        ("itself", "relearning", CANNOT_TELL),  # it has the power to see that one
        ("itself", "probes", MORE),
        ("random", "probes", LESS),
        ("another-seed", "prompt_leaks", CANNOT_TELL),
        ("another-seed", "probes", LESS),
        ("another-seed", "probes", MORE),
        ("forgetting-alone", "over_forgetting", AS_THE_ORACLE),
        ("forgetting-alone", "relearning", LESS),
    ):
        bad = KnownAnswers({**good, model: {**good[model], test: wrong}})
        assert not bad.right, (model, test, wrong)
        (line,) = [line for line in bad.text().splitlines() if "WRONG:" in line]
        assert TESTS[test].title in line
        assert wrong in line


def test_every_known_answer_is_of_a_test_that_runs():
    asked = {name for name, test in TESTS.items() if not test.opt_in}
    for known in KNOWN.values():
        assert set(known.tests) <= asked
        assert set(known.open) <= asked - set(known.tests)
