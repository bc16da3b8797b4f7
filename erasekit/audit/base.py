"""Types of the audit tests and their results.

A test runs in the same way on every model: the original, the audited model and the oracles.
It only measures; `audit.verdict` judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from erasekit.audit.names import ORACLE
from erasekit.evaluate.bootstrap import DRAWS, interval, replicate_mean, replicate_statistic
from erasekit.models.clip import Clip

Models = Mapping[str, Clip]

#: Meaning of a value. ``remembered``: above the oracle is too little forgetting, below is too
#: much. ``kept``: only below the oracle is a fault. ``reported``: shown beside the original's
#: value, without a verdict.
Sense = Literal["remembered", "kept", "reported"]


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap replicates.

    Attributes:
        value: the number.
        replicates: its value in each bootstrap draw of concepts, shape (draws,). The
            replicates of two models on the same pictures are paired.
        n: number of pictures, captions or pairs behind it.
        concepts: number of concepts behind it.
    """

    value: float
    replicates: np.ndarray
    n: int
    concepts: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % percentile interval."""
        return interval(self.replicates)


def estimate_mean(
    values: np.ndarray, concepts: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """Estimate a mean over pictures, with a bootstrap over concepts.

    Args:
        values: one number per picture, shape (n,).
        concepts: concept of each picture, shape (n,).
    """
    values = np.asarray(values, dtype=float)
    return Estimate(
        float(values.mean()),
        replicate_mean(values, concepts, draws, seed),
        len(values),
        len(np.unique(concepts)),
    )


def estimate_statistic(
    statistic: Callable[[np.ndarray], float],
    concepts: np.ndarray,
    draws: int = 200,
    seed: int = 0,
) -> Estimate:
    """Estimate a statistic of row indices, with a bootstrap over concepts."""
    return Estimate(
        float(statistic(np.arange(len(concepts)))),
        replicate_statistic(statistic, concepts, draws, seed),
        len(concepts),
        len(np.unique(concepts)),
    )


@dataclass(frozen=True)
class Measure:
    """One number of one model in one test.

    Attributes:
        model: its name in the audit.
        metric: one of the test's `Metric` names.
        condition: condition of the measurement, such as ``ja`` or ``k=4``; may be empty.
        estimate: the number.
        chance: the value of guessing, where defined: a model whose interval reaches down
            to it remembers nothing.
    """

    model: str
    metric: str
    condition: str
    estimate: Estimate
    chance: float | None = None


@dataclass(frozen=True)
class Result:
    """Result of a test.

    Attributes:
        measures: every number of every model.
        details: rows for the test's figure, as plain records.
        notes: remarks for the reader, one sentence each.
    """

    measures: list[Measure]
    details: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Metric:
    """One metric of a test.

    Attributes:
        name: name in `audit.json`.
        label: name for readers.
        sense: see `Sense`.
        if_original_knows: no verdict unless the original does better than guessing.
        acquits: whether the test can pass only if this metric passes. Other metrics are
            secondary: they can fail a test, but a pass does not need them.
        unit: ``share`` (shown in per cent), ``cosine`` or ``auc``.
    """

    name: str
    label: str
    sense: Sense
    if_original_knows: bool = False
    acquits: bool = True
    unit: Literal["share", "cosine", "auc"] = "share"


@dataclass(frozen=True)
class AuditTest:
    """One audit test: its question, its implementation and its source.

    Attributes:
        name: name in the registry and in `audit.json`.
        title: two or three words for a heading.
        question: the question it answers, for readers without background.
        source: the paper, or the relation to one.
        run: ``(models, task, **options) -> Result``. Every test takes ``split``,
            ``draws`` and ``seed``; its own options have defaults.
        metrics: the metrics it measures.
        smoke: its own options in the smoke profile.
        opt_in: whether it runs only on request, because of its cost.
        kind: kind of model it tests: ``clip`` or ``language``.
        requests: the requests it is for: ``named``, for things with names, or ``pictures``, for
            pictures that have only captions.
    """

    name: str
    title: str
    question: str
    source: str
    run: Callable[..., Result]
    metrics: tuple[Metric, ...]
    smoke: Mapping[str, Any] = field(default_factory=dict)
    opt_in: bool = False
    kind: str = "clip"
    requests: Literal["named", "pictures"] = "named"

    def metric(self, name: str) -> Metric:
        return next(metric for metric in self.metrics if metric.name == name)


def is_oracle(model: str) -> bool:
    """Whether a model's name in an audit is that of an oracle, of any seed."""
    return model == ORACLE or model.startswith(ORACLE + "-")
