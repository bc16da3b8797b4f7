"""Bootstrap intervals over concepts.

Pictures of one concept are similar, so a thousand pictures of ten concepts carry little more
information than ten numbers. The bootstrap therefore resamples concepts. The same seed and
concepts give the same draws, so that the replicates of two models are paired.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DRAWS = 1000
LEVEL = 0.95


def bootstrap_mean(
    values: np.ndarray, groups: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of `values` with a 95 % percentile interval, by resampling groups.

    Args:
        values: one number per picture, shape (n,).
        groups: the concept of each, shape (n,).

    Returns:
        mean, low, high.
    """
    return float(values.mean()), *interval(replicate_mean(values, groups, draws, seed))


def bootstrap_statistic(
    statistic: Callable[[np.ndarray], float],
    groups: np.ndarray,
    draws: int = 200,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Value and interval of a statistic; `statistic` takes the indices of the drawn rows."""
    replicates = replicate_statistic(statistic, groups, draws, seed)
    return float(statistic(np.arange(len(groups)))), *interval(replicates)


def replicate_mean(
    values: np.ndarray, groups: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> np.ndarray:
    """The mean of `values` in each bootstrap draw of groups, shape (draws,)."""
    names, codes = np.unique(groups, return_inverse=True)
    sums = np.bincount(codes, weights=values, minlength=len(names))
    counts = np.bincount(codes, minlength=len(names))
    drawn = np.random.default_rng(seed).integers(0, len(names), size=(draws, len(names)))
    return sums[drawn].sum(1) / counts[drawn].sum(1)


def replicate_statistic(
    statistic: Callable[[np.ndarray], float],
    groups: np.ndarray,
    draws: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """`statistic` of each bootstrap draw of groups, shape (draws,)."""
    names = np.unique(groups)
    rows = [np.flatnonzero(groups == name) for name in names]
    rng = np.random.default_rng(seed)
    return np.array(
        [
            statistic(np.concatenate([rows[i] for i in rng.integers(0, len(names), len(names))]))
            for _ in range(draws)
        ]
    )


def interval(replicates: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval of bootstrap replicates: low, high."""
    tail = (1 - level) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return float(low), float(high)
