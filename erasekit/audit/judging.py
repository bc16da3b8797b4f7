"""Turn the measures of a test into rows with verdicts and a report."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from erasekit.audit.audit_result import AuditRow, TestReport
from erasekit.audit.base import AuditTest, Estimate, Measure, Metric, Result, is_oracle
from erasekit.audit.names import ORIGINAL
from erasekit.audit.seed_noise import Calibration, committed
from erasekit.audit.verdict import (
    LESS,
    MORE,
    ORIGINAL_DOES_NOT_KNOW,
    judge,
    knows,
    levels,
    summarise,
)

#: The condition of a metric's mean over all its conditions.
MEAN = "mean"


#: One number of every model: its measure by the model's name.
Value = dict[str, Measure]


def judge_measures(
    test: AuditTest,
    result: Result,
    broken: Collection[str] = (),
    *,
    tests: int = 1,
    calibration: Calibration | None = None,
) -> list[AuditRow]:
    """Return one row per measure, with its gap to the oracles and its verdict.

    A metric with several conditions also gets a row for their mean. The gap of an oracle is
    to the other oracles, and it gets no verdict.

    Args:
        broken: models that no longer work, see `suite.broken_models`.
        tests: number of tests in the audit, which share its probability of a false accusation.
        calibration: how far oracles usually lie apart; by default the one of the package.
    """
    calibration = calibration or committed()
    values = gather(test, result)
    judged = [is_judged(test, name, value) for name, _, value in values]
    main = [yes and _is_main(values, place) for place, yes in enumerate(judged)]
    of_main, of_others = levels(sum(main), sum(judged) - sum(main), tests)
    rows = []
    for (name, _, value), first in zip(values, main, strict=True):
        level = of_main if first else of_others
        rows += [
            _row(test, test.metric(name), m, value, m.model not in broken, calibration, level)
            for m in value.values()
        ]
    return rows


def gather(test: AuditTest, result: Result) -> list[tuple[str, str, Value]]:
    """Return every value as metric, condition and the measures of all models, means included."""
    by_kind: dict[tuple[str, str], Value] = {}
    for measure in result.measures:
        by_kind.setdefault((measure.metric, measure.condition), {})[measure.model] = measure
    values = []
    for name in dict.fromkeys(metric for metric, _ in by_kind):
        own = [(name, under, of) for (metric, under), of in by_kind.items() if metric == name]
        means = _mean([of for *_, of in own], test.metric(name).if_original_knows)
        values += [*own, *((name, MEAN, of) for of in means)]
    return values


def noise_key(test: str, metric: str, condition: str) -> str:
    """Return the name of a value's noise in a calibration; a mean has a noise of its own."""
    return f"{test}/{metric}/{MEAN}" if condition == MEAN else f"{test}/{metric}"


def is_judged(test: AuditTest, name: str, value: Value) -> bool:
    """Whether a value can accuse or acquit a model."""
    metric = test.metric(name)
    if metric.sense == "reported":
        return False
    return not metric.if_original_knows or (
        ORIGINAL in value and knows(value[ORIGINAL].estimate, value[ORIGINAL].chance)
    )


def _is_main(values: Sequence[tuple[str, str, Value]], place: int) -> bool:
    """Whether a value is its metric's mean, or stands for a metric without a mean."""
    name, condition, _ = values[place]
    return condition == MEAN or (name, MEAN) not in {(metric, under) for metric, under, _ in values}


def _row(
    test: AuditTest,
    metric: Metric,
    measure: Measure,
    of: Value,
    works: bool,
    calibration: Calibration,
    level: float,
) -> AuditRow:
    """Return one row; `of` is the same measure of every model."""
    oracles = [m.estimate for k, m in of.items() if is_oracle(k) and k != measure.model]
    judged = judge(
        measure.estimate,
        oracles,
        metric.sense,
        metric=noise_key(test.name, metric.name, measure.condition),
        calibration=calibration,
        level=level,
        original=of[ORIGINAL].estimate if ORIGINAL in of else None,
        chance=measure.chance,
        if_original_knows=metric.if_original_knows,
        works=works,
    )
    # A reported metric may lack oracles although the audit has some: its gap to the original
    # would look like a gap to the oracles.
    has_gap = bool(oracles) or (metric.sense != "reported" and measure.model != ORIGINAL)
    has_verdict = not is_oracle(measure.model)
    return AuditRow(
        test.name,
        measure.model,
        metric.name,
        measure.condition,
        measure.estimate.value,
        *measure.estimate.interval,
        measure.estimate.n,
        judged.gap if has_gap else None,
        judged.low if has_gap else None,
        judged.high if has_gap else None,
        judged.margin,
        judged.smallest,
        judged.word if has_verdict else None,
        judged.reason if has_verdict else None,
    )


def _mean(of_metric: list[Value], if_original_knows: bool) -> list[Value]:
    """Return the mean over a metric's conditions for each model; empty for fewer than two.

    Skips conditions under which the original does no better than guessing.
    """
    known = [
        of
        for of in of_metric
        if not if_original_knows or knows(of[ORIGINAL].estimate, of[ORIGINAL].chance)
    ]
    if len(known) < 2:
        return []
    means = {}
    for model, first in known[0].items():
        measures = [of[model] for of in known]
        chances = [measure.chance for measure in measures if measure.chance is not None]
        estimates = [measure.estimate for measure in measures]
        means[model] = Measure(
            model,
            first.metric,
            MEAN,
            Estimate(
                float(np.mean([e.value for e in estimates])),
                np.mean([e.replicates for e in estimates], axis=0),
                min(e.n for e in estimates),
                min(e.concepts for e in estimates),
            ),
            float(np.mean(chances)) if chances else None,
        )
    return [means]


def report_on(
    model: str, test: AuditTest, result: Result, rows: Sequence[AuditRow], seconds: float = 0.0
) -> TestReport:
    """Report the findings of a test about one model, see `audit.verdict`.

    Args:
        model: name of the model in the audit.
        rows: rows of the test, from `judge_measures`.
    """
    own = [row for row in rows if row.model == model and row.verdict]
    # If the original does not know a concept, its value is no evidence about forgetting.
    # Reported metrics have no verdict.
    telling = [
        row
        for row in own
        if row.reason != ORIGINAL_DOES_NOT_KNOW and test.metric(row.metric).sense != "reported"
    ]
    means = {row.metric for row in telling if row.condition == MEAN}
    acquitting = [
        row
        for row in telling
        if test.metric(row.metric).acquits and (row.condition == MEAN or row.metric not in means)
    ]
    word = summarise(
        [row.verdict for row in telling if row.verdict],
        [row.verdict for row in acquitting if row.verdict],
    )
    if word in (LESS, MORE):
        gravest = [row for row in telling if row.verdict == word]
        places = {
            row.metric: [r.condition for r in gravest if r.metric == row.metric] for row in gravest
        }
        reason = f"{len(gravest)} of {len(telling)} values: " + "; ".join(
            _place(test, metric, conditions) for metric, conditions in places.items()
        )
    else:
        of = acquitting or own
        gravest = [row for row in of if row.verdict == word]
        reason = "; ".join(
            f"{_place(test, row.metric, [row.condition])}: {row.reason}" for row in gravest
        )
    return TestReport(
        test.name,
        test.title,
        test.question,
        test.source,
        word,
        reason or "nothing could be measured",
        _sees(test, acquitting),
        result.notes,
        seconds,
    )


def _sees(test: AuditTest, rows: Sequence[AuditRow]) -> str:
    """Say the smallest gap that these values would have shown, in 90 of 100 cases."""
    seen = [row for row in rows if row.smallest is not None]
    if not seen:
        return ""
    best = min(seen, key=lambda row: row.smallest or 0.0)
    points = 100 * (best.smallest or 0.0)
    return f"{points:.0f} points in {_place(test, best.metric, [best.condition])}"


def _place(test: AuditTest, metric: str, conditions: Sequence[str]) -> str:
    """Describe a metric and its conditions."""
    under = ", ".join(filter(None, conditions))
    return test.metric(metric).label + (f" ({under})" if under else "")
