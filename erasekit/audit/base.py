"""What an audit test is, and what it gives.

A test asks one question of every model alike: the original, the model under audit, and
as many oracles as there are. It measures; `audit.verdict` judges.
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

#: What a value says. ``remembered``: more than the oracle is too little forgetting, less is
#: too much. ``kept``: only less than the oracle is a fault. ``reported``: it
#: stands beside the original's, and no verdict rests on it.
Sense = Literal["remembered", "kept", "reported"]


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap replicates.

    Attributes:
        value: the number itself.
        replicates: it in each bootstrap draw of concepts, shape (draws,). Those of two
            models on the same pictures belong together pairwise.
        n: how many pictures, captions or pairs it comes from.
    """

    value: float
    replicates: np.ndarray
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % percentile interval."""
        return interval(self.replicates)


def estimate_mean(
    values: np.ndarray, concepts: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """The mean of one number a picture, drawn again by concept.

    Args:
        values: shape (n,).
        concepts: the concept of each, shape (n,).
    """
    values = np.asarray(values, dtype=float)
    return Estimate(
        float(values.mean()), replicate_mean(values, concepts, draws, seed), len(values)
    )


def estimate_statistic(
    statistic: Callable[[np.ndarray], float],
    concepts: np.ndarray,
    draws: int = 200,
    seed: int = 0,
) -> Estimate:
    """Any statistic of rows, drawn again by concept; it takes the rows' indices."""
    return Estimate(
        float(statistic(np.arange(len(concepts)))),
        replicate_statistic(statistic, concepts, draws, seed),
        len(concepts),
    )


@dataclass(frozen=True)
class Measure:
    """One number of one model in one test.

    Attributes:
        model: its name in the audit.
        metric: one of the test's `Metric` names.
        condition: under which it was measured, such as ``ja`` or ``k=4``; may be empty.
        estimate: the number.
        chance: what guessing gives, where that has a meaning: a model whose interval
            reaches down to it remembers nothing.
    """

    model: str
    metric: str
    condition: str
    estimate: Estimate
    chance: float | None = None


@dataclass(frozen=True)
class Result:
    """What a test gives.

    Attributes:
        measures: every number, of every model.
        details: rows for the test's picture, as plain records.
        notes: what a reader must know, one sentence each.
    """

    measures: list[Measure]
    details: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Metric:
    """One metric of a test.

    Attributes:
        name: as it stands in `audit.json`.
        label: as a person reads it.
        sense: see `Sense`.
        if_original_knows: no verdict unless the original itself does better than guessing.
        acquits: whether a test needs it to find the model as the oracle. What does not
            acquit can still accuse: it is a second look at the same question.
        unit: ``share`` for what is shown in per cent, ``cosine``, or ``auc``.
    """

    name: str
    label: str
    sense: Sense
    if_original_knows: bool = False
    acquits: bool = True
    unit: Literal["share", "cosine", "auc"] = "share"


@dataclass(frozen=True)
class AuditTest:
    """One question, how it is asked, and where the question comes from.

    Attributes:
        name: in the registry and in `audit.json`.
        title: two or three words for a heading.
        question: what it asks, in words that need no background.
        source: paper, or how it relates to one.
        run: ``(models, task, **options) -> Result``. Every test takes ``split``,
            ``draws`` and ``seed``; its own options have defaults.
        metrics: what it measures.
        smoke: its own options in the smoke profile.
        opt_in: it costs so much that it runs only when asked for.
        kind: of model that it asks: ``clip`` or ``language``.
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

    def metric(self, name: str) -> Metric:
        return next(metric for metric in self.metrics if metric.name == name)


def is_oracle(model: str) -> bool:
    """Whether a model's name in an audit is that of an oracle, of whatever seed."""
    return model == ORACLE or model.startswith(ORACLE + "-")
