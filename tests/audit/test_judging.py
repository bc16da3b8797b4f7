"""From values to verdicts of rows and tests, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from erasekit.audit.base import AuditTest, Estimate, Measure, Metric, Result
from erasekit.audit.judging import gather, judge_measures, noise_key, report_on
from erasekit.audit.seed_noise import Calibration, Noise
from erasekit.audit.verdict import AS_THE_ORACLE, CANNOT_TELL, LESS

MODELS = ("original", "erased", "oracle", "oracle-1", "oracle-2")
#: Oracles lie two points apart, in whatever is measured.
KNOWN = Calibration(30, 10, {"any": Noise(shift=0.0004, concept=0.0)}, {})


def measure(model: str, metric: str, value: float, condition: str = "", **more) -> Measure:
    return Measure(model, metric, condition, Estimate(value, np.full(50, value), 200, 5), **more)


def judged(test: AuditTest, result: Result, broken=(), tests: int = 1) -> list:
    return judge_measures(test, result, broken, tests=tests, calibration=KNOWN)


def a_test(*metrics: Metric) -> AuditTest:
    return AuditTest("made_up", "made up", "Is it?", "nobody", lambda: None, metrics)


def test_each_value_is_held_against_the_mean_of_the_oracles():
    test = a_test(Metric("top1", "top-1", "remembered"))
    values = dict(zip(MODELS, (0.9, 0.5, 0.10, 0.12, 0.14), strict=True))
    rows = judged(test, Result([measure(m, "top1", v) for m, v in values.items()]))
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
    rows = judged(test, result)
    mean = next(row for row in rows if (row.model, row.condition) == ("erased", "mean"))
    assert mean.value == pytest.approx((5 * 0.1 + 0.8) / 6)
    report = report_on("erased", test, result, rows)
    assert report.verdict == LESS
    assert report.reason == "2 of 8 values: top-1 (b, mean)"


def test_as_the_oracle_is_said_by_the_mean_of_what_must_acquit():
    test = a_test(
        Metric("top1", "top-1", "remembered"), Metric("more", "more", "remembered", acquits=False)
    )
    values = dict(zip(MODELS, (0.9, 0.1, 0.1, 0.1, 0.1), strict=True))
    unusual = Estimate(0.16, np.full(50, 0.16), 200, 5)
    measures = [measure(m, "top1", v, c) for m, v in values.items() for c in ("a", "b")]
    measures += [measure(m, "more", v) for m, v in values.items() if m != "erased"]
    measures.append(Measure("erased", "more", "", unusual))
    result = Result(measures)
    report = report_on("erased", test, result, judged(test, result))
    assert report.verdict == AS_THE_ORACLE
    assert report.reason.startswith("top-1 (mean): no farther from the oracles")


def test_what_the_original_does_not_know_is_left_out_of_the_verdict():
    test = a_test(Metric("top1", "top-1", "remembered", if_original_knows=True))
    measures = [
        measure(m, "top1", v, "known", chance=0.1)
        for m, v in zip(MODELS, (0.9, 0, 0, 0, 0), strict=True)
    ]
    measures += [measure(m, "top1", 0.0, "unknown", chance=0.1) for m in MODELS]
    result = Result(measures)
    rows = judged(test, result)
    assert "mean" not in {row.condition for row in rows}, "one condition has no mean"
    report = report_on("erased", test, result, rows)
    assert report.verdict == AS_THE_ORACLE
    nothing = Result(measures[len(MODELS) :])
    silent = report_on("erased", test, nothing, judged(test, nothing))
    assert silent.verdict == CANNOT_TELL
    assert "original does no better than guessing" in silent.reason


def test_without_oracles_gaps_are_to_the_original_and_every_verdict_is_cannot_tell():
    test = a_test(Metric("top1", "top-1", "remembered"))
    result = Result([measure("original", "top1", 0.9), measure("erased", "top1", 0.2)])
    rows = judged(test, result)
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
    rows = judged(test, Result(measures))
    assert {row.gap for row in rows if row.metric == "index"} == {None}
    assert None not in {row.gap for row in rows if row.metric == "top1"}


def test_only_the_models_that_no_longer_work_are_not_acquitted():
    test = a_test(Metric("top1", "top-1", "remembered"))
    values = dict(zip((*MODELS, "control"), (0.9, 0.1, 0.1, 0.1, 0.1, 0.1), strict=True))
    result = Result([measure(m, "top1", v) for m, v in values.items()])
    rows = judged(test, result, {"erased"})
    assert {row.model: row.verdict for row in rows if row.verdict} == {
        "original": LESS,
        "erased": CANNOT_TELL,
        "control": AS_THE_ORACLE,
    }
    assert "no longer works" in report_on("erased", test, result, rows).reason


def test_a_metrics_mean_has_half_of_the_tests_share_and_its_conditions_the_other_half():
    test = a_test(Metric("top1", "top-1", "remembered"), Metric("kept", "kept", "kept"))
    measures = [measure(m, "top1", 0.5, c) for m in MODELS for c in "abcde"]
    measures += [measure(m, "kept", 0.9) for m in MODELS]
    rows = [row for row in judged(test, Result(measures), tests=4) if row.model == "erased"]
    margin = {(row.metric, row.condition): row.margin for row in rows}
    # The oracles agree, so that their variance is 30/32 of the expected; two main values
    # (a mean, and a metric without one), five others; "kept" looks to one side only.
    error = np.sqrt(0.0004 * 30 / 32 * 4 / 3)
    of_main, of_others = 0.05 / 4 / 2 / 2, 0.05 / 4 / 2 / 5
    assert margin["top1", "mean"] == pytest.approx(error * stats.t.isf(of_main / 2, 10))
    assert margin["kept", ""] == pytest.approx(error * stats.t.isf(of_main, 10))
    assert margin["top1", "a"] == pytest.approx(error * stats.t.isf(of_others / 2, 10))


def test_what_only_is_reported_takes_no_share():
    test = a_test(Metric("top1", "top-1", "remembered"), Metric("index", "index", "reported"))
    alone = [measure(m, "top1", 0.5) for m in MODELS]
    beside = [*alone, *(measure(m, "index", 0.5, c) for m in MODELS for c in "abc")]
    one, other = (judged(test, Result(of))[0].margin for of in (alone, beside))
    assert one == other


def test_a_mean_has_a_noise_of_its_own():
    assert noise_key("probes", "auc", "linear") == "probes/auc"
    assert noise_key("probes", "auc", "mean") == "probes/auc/mean"
    test = a_test(Metric("top1", "top-1", "remembered"))
    result = Result([measure(m, "top1", 0.5, c) for m in MODELS for c in "ab"])
    assert [condition for _, condition, _ in gather(test, result)] == ["a", "b", "mean"]
    quiet = {"made_up/top1": Noise(0.01, 0), "made_up/top1/mean": Noise(0.0001, 0)}
    rows = judge_measures(test, result, calibration=Calibration(30, 10, quiet, {}))
    margin = {row.condition: row.margin for row in rows if row.model == "erased"}
    # Two conditions and one mean share alike: 2.5 % to the mean, 1.25 % to each condition.
    ratio = stats.t.isf(0.00625, 10) / stats.t.isf(0.0125, 10) * 10
    assert margin["a"] / margin["mean"] == pytest.approx(ratio)
