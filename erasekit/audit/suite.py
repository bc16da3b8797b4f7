"""The audit: every test on every model, each value judged against the oracles."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from erasekit.audit.attack_registry import TESTS, usual_tests
from erasekit.audit.base import AuditTest, Estimate, Measure, Metric, Models, Result, is_oracle
from erasekit.audit.names import AUDITED, ORACLE, ORIGINAL
from erasekit.audit.verdict import (
    LESS,
    MORE,
    ORIGINAL_DOES_NOT_KNOW,
    VERDICTS,
    judge,
    knows,
    summarise,
)
from erasekit.data.task import ErasureTask
from erasekit.errors import RunError
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.files import read_json, write_json
from erasekit.progress import hidden, progress_bar

VERSION = 1
#: The condition of a metric's mean over all its conditions.
MEAN = "mean"


@dataclass(frozen=True)
class AuditRow:
    """One value of one model, and what it means.

    Attributes:
        value, low, high: with the 95 % interval over concepts; shares from 0 to 1.
        gap, gap_low, gap_high: minus the mean of the (other) oracles, 90 % interval; minus
            the original where the audit has no oracle; None for what it is held against.
        margin: how far oracles differ among themselves.
        verdict, reason: see `audit.verdict`; None for the oracles themselves.
    """

    test: str
    model: str
    metric: str
    condition: str
    value: float
    low: float
    high: float
    n: int
    gap: float | None
    gap_low: float | None
    gap_high: float | None
    margin: float | None
    verdict: str | None
    reason: str | None


@dataclass(frozen=True)
class TestReport:
    """What one test found about the audited model, in words."""

    name: str
    title: str
    question: str
    source: str
    verdict: str
    reason: str
    notes: list[str]
    seconds: float
    __test__ = False  # pytest: this is no test class


@dataclass(frozen=True)
class Audit:
    """Every row, the verdict of each test, and what pictures are drawn from.

    Attributes:
        models: by name the hash of each model's weights, see `Clip.fingerprint`.
        oracles: name and seed of each.
    """

    task: dict
    models: dict[str, str]
    oracles: list[dict]
    settings: dict
    tests: list[TestReport]
    rows: list[AuditRow]
    details: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """Every row as a table."""
        return pd.DataFrame([vars(row) for row in self.rows])

    def report(self, test: str) -> TestReport:
        """What one test found.

        Raises:
            RunError: when it did not run.
        """
        for found in self.tests:
            if found.name == test:
                return found
        raise RunError(f"the audit has no test '{test}': it did not run")

    def value(self, test: str, metric: str, condition: str, model: str = AUDITED) -> float:
        """One value.

        Raises:
            RunError: when the audit has no such row.
        """
        for row in self.rows:
            if (row.test, row.metric, row.condition, row.model) == (test, metric, condition, model):
                return row.value
        raise RunError(f"the audit has no {metric} of {test} under '{condition}' for {model}")

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each test, by its name."""
        return {found.name: found.verdict for found in self.tests}

    @property
    def verdict(self) -> str:
        """All tests in one line."""
        count = {word: list(self.verdicts.values()).count(word) for word in VERDICTS}
        return "; ".join(f"{word} in {n} of {len(self.tests)}" for word, n in count.items() if n)

    @property
    def reference(self) -> str:
        """What gaps are taken to: the oracles, or without any the original."""
        return ORACLE if self.oracles else ORIGINAL

    def table(self) -> pd.DataFrame:
        """A line a test: its verdict and its question."""
        return pd.DataFrame(
            {
                "verdict": [t.verdict for t in self.tests],
                "question": [t.question for t in self.tests],
            },
            index=pd.Index([t.title for t in self.tests], name="test"),
        )

    def as_dict(self) -> dict:
        return {
            "version": VERSION,
            "verdict": self.verdict,
            "task": self.task,
            "models": self.models,
            "oracles": self.oracles,
            "settings": self.settings,
            "tests": [asdict(found) for found in self.tests],
            "rows": [_rounded(asdict(row)) for row in self.rows],
            "details": {
                name: [_rounded(record) for record in records]
                for name, records in self.details.items()
            },
        }

    def save(self, path: Path) -> Path:
        return write_json(path, self.as_dict())

    @classmethod
    def load(cls, path: Path) -> Audit:
        """Read an audit.

        Raises:
            RunError: when the file is absent, damaged or of another version.
        """
        value = read_json(path)
        try:
            if value["version"] != VERSION:
                raise RunError(f"{path} has version {value['version']}: this reads {VERSION}")
            return cls(
                value["task"],
                value["models"],
                value["oracles"],
                value["settings"],
                [TestReport(**found) for found in value["tests"]],
                [AuditRow(**row) for row in value["rows"]],
                value["details"],
            )
        except (KeyError, TypeError) as error:
            raise RunError(f"{path} is not an audit: {error}") from error


def audit(
    models: Models,
    task: ErasureTask,
    *,
    tests: Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    smoke: bool = False,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    oracle_seeds: Sequence[int] = (),
    progress: bool = True,
) -> Audit:
    """Ask every test of every model, and judge what comes out.

    Args:
        models: ``original`` and the audited model under ``erased``; oracles as ``oracle``,
            ``oracle-1``, … Without one, every verdict is "cannot tell" and gaps are to the
            original.
        task: what was to be forgotten.
        tests: names of `audit.registry`; all that are not opt-in by default.
        options: by test, what replaces its own defaults.
        smoke: take each test's short form.
        oracle_seeds: of the oracles in their order, to be written down.
    """
    names = list(tests or usual_tests())
    found: list[TestReport] = []
    rows: list[AuditRow] = []
    details: dict[str, list[dict[str, Any]]] = {}
    with hidden(not progress), progress_bar("audit", "test", len(names)) as bar:
        for name in names:
            bar.set_postfix_str(name)
            test = TESTS[name]
            own = {**(test.smoke if smoke else {}), **(options or {}).get(name, {})}
            started = time.perf_counter()
            result = test.run(models, task, split=split, draws=draws, seed=seed, **own)
            seconds = round(time.perf_counter() - started, 2)
            judged = judge_measures(test, result)
            rows += judged
            details[name] = result.details
            found.append(report_on(AUDITED, test, result, judged, seconds))
            bar.update()
    oracles = [model for model in models if is_oracle(model)]
    return Audit(
        task={**task.describe(), "split": split},
        models={name: clip.fingerprint() for name, clip in models.items()},
        oracles=[
            {"model": model, "seed": own}
            for model, own in zip(oracles, oracle_seeds or [None] * len(oracles), strict=True)
        ],
        settings={"smoke": smoke, "draws": draws, "seed": seed, "options": _plain(options or {})},
        tests=found,
        rows=rows,
        details=details,
    )


def judge_measures(test: AuditTest, result: Result) -> list[AuditRow]:
    """A row for each measure, with its gap to the oracles and its verdict.

    A metric with several conditions gets a row for their mean as well. An oracle's own gap
    is taken to the other oracles, and it gets no verdict.
    """
    by_kind: dict[tuple[str, str], dict[str, Measure]] = {}
    for measure in result.measures:
        by_kind.setdefault((measure.metric, measure.condition), {})[measure.model] = measure
    rows = []
    for name in dict.fromkeys(metric for metric, _ in by_kind):
        metric = test.metric(name)
        of_metric = [of for (metric_name, _), of in by_kind.items() if metric_name == name]
        for of in [*of_metric, *_mean(of_metric, metric.if_original_knows)]:
            rows += [_row(test, metric, measure, of) for measure in of.values()]
    return rows


def _row(test: AuditTest, metric: Metric, measure: Measure, of: dict[str, Measure]) -> AuditRow:
    """One row; `of` is the same measure of every model."""
    oracles = [m.estimate for k, m in of.items() if is_oracle(k) and k != measure.model]
    judged = judge(
        measure.estimate,
        oracles,
        metric.sense,
        original=of[ORIGINAL].estimate,
        chance=measure.chance,
        if_original_knows=metric.if_original_knows,
    )
    # What is only reported may have no oracle where the audit has them: its gap to the original
    # would be taken for one to the oracles.
    has_gap = bool(oracles) or (metric.sense != "reported" and measure.model != ORIGINAL)
    is_judged = not is_oracle(measure.model)
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
        judged.word if is_judged else None,
        judged.reason if is_judged else None,
    )


def _mean(of_metric: list[dict[str, Measure]], if_original_knows: bool) -> list[dict[str, Measure]]:
    """The mean over a metric's conditions for each model; empty with fewer than two.

    Conditions under which the original does no better than guessing are left out.
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
            ),
            float(np.mean(chances)) if chances else None,
        )
    return [means]


def report_on(
    model: str, test: AuditTest, result: Result, rows: Sequence[AuditRow], seconds: float = 0.0
) -> TestReport:
    """What a test found about one model, see `audit.verdict`.

    Args:
        model: its name in the audit.
        rows: of the test, from `judge_measures`.
    """
    own = [row for row in rows if row.model == model and row.verdict]
    # What the original does not know either is no evidence for or against forgetting, and
    # on what is only reported no verdict rests.
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
        result.notes,
        seconds,
    )


def _place(test: AuditTest, metric: str, conditions: Sequence[str]) -> str:
    """A metric and the conditions it was measured under, in words."""
    under = ", ".join(filter(None, conditions))
    return test.metric(metric).label + (f" ({under})" if under else "")


def _plain(options: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Options as JSON holds them: a recipe as its fields."""
    return {
        test: {k: asdict(v) if is_dataclass(v) else v for k, v in own.items()}  # type: ignore[arg-type]
        for test, own in options.items()
    }


def _rounded(record: Mapping[str, Any]) -> dict[str, Any]:
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in record.items()}
