"""How far oracles of different seeds lie apart, when only a few of them are at hand.

Three oracles do not show their own spread: its estimate from three values is often half or
twice the truth. Their variance is therefore pooled with what many oracles showed before,
metric by metric, as limma does for genes (moderated t, Smyth 2004). What they showed is
committed in ``calibration.json``, which ``benchmarks/audit_calibration.py`` makes.

The variance expected of one value between seeds has two parts:

- a *concept part*: each concept's value moves from seed to seed, and a mean over few concepts
  moves more. It is estimated by the bootstrap over concepts from the differences of the
  oracles at hand, together with the metric's usual value: one concept alone shows nothing.
- a *shift*: the whole model is a little better or worse, the same for all concepts. No
  bootstrap over concepts shows it, so that it comes from the calibration alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from erasekit.audit.base import Estimate

#: What the metric's usual concept part weighs against what the oracles at hand show, in concepts.
CONCEPTS_WORTH = 4


@dataclass(frozen=True)
class Noise:
    """What a metric showed between seeds.

    Attributes:
        shift: variance of the shift between models.
        concept: variance of one concept's value between models.
    """

    shift: float
    concept: float


@dataclass(frozen=True)
class Calibration:
    """What many oracles showed.

    Attributes:
        worth: how many further oracles the expected variance counts for.
        degrees: degrees of freedom of the t distribution of an innocent model's distance.
        metrics: the noise by name, see `judging.noise_key`.
        source: what it was measured on, for the record.
    """

    worth: float
    degrees: float
    metrics: Mapping[str, Noise]
    source: Mapping[str, Any]

    def noise(self, metric: str) -> Noise:
        """Return a metric's noise; of one that was never measured, the mean over all metrics."""
        if metric in self.metrics:
            return self.metrics[metric]
        known = list(self.metrics.values())
        return Noise(
            float(np.mean([noise.shift for noise in known])),
            float(np.mean([noise.concept for noise in known])),
        )

    def expected(self, metric: str, oracles: Sequence[Estimate]) -> float:
        """Return the variance between seeds that is expected of a value of `metric`."""
        noise = self.noise(metric)
        return concept_part(oracles, noise.concept) + noise.shift

    def error(self, metric: str, oracles: Sequence[Estimate]) -> float:
        """Return the standard error of an innocent model's gap to the mean of these oracles.

        Args:
            metric: name of its noise, see `judging.noise_key`.
            oracles: the same value of each oracle, two or more.
        """
        k = len(oracles)
        seen = float(np.var([oracle.value for oracle in oracles], ddof=1))
        pooled = (self.worth * self.expected(metric, oracles) + (k - 1) * seen) / (
            self.worth + k - 1
        )
        return float(np.sqrt(pooled * (1 + 1 / k)))

    def reach(self, probability: float) -> float:
        """Return how many standard errors an innocent model exceeds with this probability."""
        return float(stats.t.isf(probability, self.degrees))

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": dict(self.source),
            "worth": self.worth,
            "degrees": self.degrees,
            "metrics": {
                name: {part: float(f"{value:.4g}") for part, value in asdict(noise).items()}
                for name, noise in sorted(self.metrics.items())
            },
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Calibration:
        metrics = {name: Noise(**noise) for name, noise in record["metrics"].items()}
        return cls(record["worth"], record["degrees"], metrics, record["source"])


@cache
def committed() -> Calibration:
    """The calibration that comes with the package."""
    text = files("erasekit.audit").joinpath("calibration.json").read_text(encoding="utf-8")
    return Calibration.from_dict(json.loads(text))


def concept_part(oracles: Sequence[Estimate], usual: float) -> float:
    """Return the concept part of a value's variance between seeds.

    Args:
        oracles: the value of two or more oracles, with paired replicates.
        usual: variance of one concept's value between seeds that the metric usually has.
    """
    concepts = oracles[0].concepts
    weight = concepts - 1  # degrees of freedom of what the oracles show
    shown = weight * _seen_part(oracles) if weight else 0.0
    return (shown + CONCEPTS_WORTH * usual / concepts) / (weight + CONCEPTS_WORTH)


def _seen_part(oracles: Sequence[Estimate]) -> float:
    """The concept part as the oracles show it; the bootstrap's variance is (C − 1)/C of it."""
    concepts = oracles[0].concepts
    halves = [np.var(a.replicates - b.replicates) / 2 for a, b in combinations(oracles, 2)]
    return float(np.mean(halves)) * concepts / (concepts - 1)


def measure_noise(values: Sequence[Sequence[Estimate]]) -> Noise:
    """Measure a metric's noise, by moments.

    Args:
        values: for each value (task and condition), its estimate of every oracle.
    """
    many = [oracles for oracles in values if oracles[0].concepts > 1]
    concept = (
        float(np.mean([_seen_part(oracles) * oracles[0].concepts for oracles in many]))
        if many
        else 0.0
    )
    beyond = [
        np.var([oracle.value for oracle in oracles], ddof=1) - concept_part(oracles, concept)
        for oracles in values
    ]
    # A mean over many concepts shows the shift more clearly.
    weights = [oracles[0].concepts for oracles in values]
    return Noise(max(0.0, float(np.average(beyond, weights=weights))), concept)
