"""Compare measures with a policy: met, not met, already met, or not tested.

A criterion without a number is "not tested", never "met". A bound on forgetting that the original
satisfies too is "already met": it is no evidence about the erasure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from erasekit.audit.audit_result import Audit, AuditRow
from erasekit.audit.names import ORACLE
from erasekit.certificate.policy import AuditCriterion, Criterion, ScorecardCriterion
from erasekit.evaluate.scorecard import Row, Scorecard

MET, NOT_MET, ALREADY_MET, NOT_TESTED = "met", "not met", "already met", "not tested"


@dataclass(frozen=True)
class Found:
    """One value that a criterion checks.

    Attributes:
        condition: condition of the audit's measurement; empty for other sources.
        value: the number or the verdict that is compared with the requirement.
        low, high: the interval of the number, if it has one.
        met: whether it meets the requirement.
    """

    condition: str
    value: float | str
    low: float | None
    high: float | None
    met: bool


@dataclass(frozen=True)
class Judgement:
    """Result of one criterion.

    Attributes:
        result: `MET`, `NOT_MET`, `ALREADY_MET` or `NOT_TESTED`.
        reason: for `NOT_TESTED`, what is missing; for verdicts, the audit's reasons.
        found: every value that was checked.
        of_forgetting: whether the criterion is about forgetting, not about retention.
    """

    result: str
    reason: str
    found: tuple[Found, ...] = ()
    of_forgetting: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "found": [asdict(found) for found in self.found]}


class _LackingError(Exception):
    """A measure that the criterion needs is missing."""


def judge(criterion: Criterion, scorecard: Scorecard, audit: Audit | None) -> Judgement:
    """Compare one criterion with a run.

    Args:
        audit: None if the run was not audited.
    """
    judged = _judge(criterion, scorecard, audit)
    if criterion.model != "erased" or not criterion.of_forgetting:
        return judged
    if judged.result == MET and criterion.has_original:
        before = _judge(criterion.model_copy(update={"model": "original"}), scorecard, audit)
        if before.result == MET:
            judged = replace(judged, result=ALREADY_MET, reason="the original met it too")
    return replace(judged, of_forgetting=True)


def _judge(criterion: Criterion, scorecard: Scorecard, audit: Audit | None) -> Judgement:
    try:
        if isinstance(criterion, AuditCriterion):
            return _on_audit(criterion, audit)
        assert isinstance(criterion, ScorecardCriterion)
        return _on_scorecard(criterion, scorecard)
    except _LackingError as lacking:
        return Judgement(NOT_TESTED, str(lacking))


def overall(judged: Sequence[Judgement]) -> str:
    """Return one result for all criteria: "not met" takes precedence over "not tested".

    If the original meets all criteria on forgetting, no forgetting was shown.
    """
    results = [each.result for each in judged]
    forgetting = {each.result for each in judged if each.of_forgetting}
    if NOT_MET in results:
        return NOT_MET
    return NOT_TESTED if NOT_TESTED in results or forgetting == {ALREADY_MET} else MET


def _on_scorecard(criterion: ScorecardCriterion, scorecard: Scorecard) -> Judgement:
    rows = _rows(criterion, scorecard, criterion.model)
    if criterion.compare == "value":
        return _judged([_bounded(criterion, "", rows)])
    other, subset, sign = {
        "gap": ("oracle", criterion.subset, 1),
        "drop_from_original": ("original", criterion.subset, -1),
        "minus_holdout": (criterion.model, "holdout", 1),
    }[criterion.compare]
    compared = _rows(criterion.model_copy(update={"subset": subset}), scorecard, other)
    value = _finite(sign * (_mean(rows, "value") - _mean(compared, "value")))
    return _judged([Found("", value, None, None, _keeps(criterion, value))])


def _rows(criterion: ScorecardCriterion, scorecard: Scorecard, model: str) -> list[Row]:
    rows = [
        row
        for row in scorecard.rows
        if (row.model, row.metric, row.subset) == (model, criterion.metric, criterion.subset)
        and criterion.direction in (None, row.direction)
    ]
    if not rows:
        way = f" {criterion.direction}" if criterion.direction else ""
        raise _LackingError(
            f"the scorecard has no {criterion.metric} on {criterion.subset}{way} for {model}"
        )
    metric, _, depth = criterion.metric.partition("@")
    # On forget, the pairs of a request are ranked among others too.
    if depth and criterion.subset == "retain" and (fewest := min(r.n for r in rows)) <= int(depth):
        raise _LackingError(f"{metric}@{depth} among {fewest} pairs is 1 for every model")
    return rows


def _mean(rows: Sequence[Row], name: str) -> float:
    return float(np.mean([getattr(row, name) for row in rows]))


def _on_audit(criterion: AuditCriterion, audit: Audit | None) -> Judgement:
    if audit is None:
        raise _LackingError("the run was not audited: it has no audit.json")
    report = next((test for test in audit.tests if test.name == criterion.test), None)
    if report is None:
        raise _LackingError(f"the audit did not run the test {criterion.test}")
    if criterion.metric is None:
        if criterion.test not in audit.measured:
            raise _LackingError(f"{criterion.test} measured nothing on this model")
        met = report.verdict in (criterion.verdict_in or ())
        return _judged([Found("", report.verdict, None, None, met)], report.reason)
    rows = [
        row
        for row in audit.rows
        if (row.test, row.metric, row.model) == (criterion.test, criterion.metric, criterion.model)
        and criterion.condition in (None, row.condition)
    ]
    if not rows:
        under = f" under '{criterion.condition}'" if criterion.condition else ""
        raise _LackingError(
            f"{criterion.test} has no {criterion.metric}{under} for {criterion.model}"
        )
    if not criterion.verdict_in:
        return _judged([_audit_bounded(criterion, audit, row) for row in rows])
    found = [_audit_verdict(criterion, row) for row in rows]
    return _judged(found, "; ".join(dict.fromkeys(row.reason for row in rows if row.reason)))


def _audit_verdict(criterion: AuditCriterion, row: AuditRow) -> Found:
    if row.verdict is None:
        raise _LackingError(f"{criterion.test} gives {criterion.model} no verdict")
    return Found(
        row.condition, row.verdict, None, None, row.verdict in (criterion.verdict_in or ())
    )


def _audit_bounded(criterion: AuditCriterion, audit: Audit, row: AuditRow) -> Found:
    if criterion.compare == "value":
        return _bounded(criterion, row.condition, [row])
    ends = {"value": row.gap, "low": row.gap_low, "high": row.gap_high}
    number = ends[criterion.use]
    if number is None or audit.reference != ORACLE:
        raise _LackingError(f"{criterion.test} had no oracle to compare with")
    value = _finite(number)
    return Found(row.condition, value, row.gap_low, row.gap_high, _keeps(criterion, value))


def _bounded(criterion: Criterion, condition: str, rows: Sequence[Any]) -> Found:
    value = _finite(_mean(rows, criterion.use))
    low, high = (_finite(_mean(rows, end)) for end in ("low", "high"))
    return Found(condition, value, low, high, _keeps(criterion, value))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise _LackingError("what was measured is not a finite number")
    # Files hold six digits: further digits of a difference are rounding errors, which could break
    # a bound that is met exactly. Adding zero turns a negative zero into zero.
    return round(value, 6) + 0.0


def _keeps(criterion: Criterion, value: float) -> bool:
    if criterion.at_most is not None:
        return value <= criterion.at_most
    assert criterion.at_least is not None
    return value >= criterion.at_least


def _judged(found: list[Found], reason: str = "") -> Judgement:
    met = all(each.met for each in found)
    return Judgement(MET if met else NOT_MET, reason, tuple(found))
