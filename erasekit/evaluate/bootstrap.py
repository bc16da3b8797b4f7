"""Intervals by bootstrap over concepts.

Pictures of one concept are alike, so that a thousand pictures of ten concepts say
little more than ten numbers would. Concepts are therefore what is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

DRAWS = 1000
LEVEL = 0.95


def bootstrap_mean(
    values: np.ndarray, groups: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of `values` with a percentile interval at 95 %, by drawing groups again.

    Args:
        values: one number a picture, shape (n,).
        groups: the concept of each, shape (n,).

    Returns:
        mean, low, high.
    """
    names, codes = np.unique(groups, return_inverse=True)
    sums = np.bincount(codes, weights=values, minlength=len(names))
    counts = np.bincount(codes, minlength=len(names))
    drawn = np.random.default_rng(seed).integers(0, len(names), size=(draws, len(names)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = _interval(means)
    return float(values.mean()), low, high


def bootstrap_statistic(
    statistic: Callable[[np.ndarray], float],
    groups: np.ndarray,
    draws: int = 200,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Any statistic of rows with its interval; `statistic` takes the drawn rows' indices."""
    names = np.unique(groups)
    rows = [np.flatnonzero(groups == name) for name in names]
    rng = np.random.default_rng(seed)
    values = np.array(
        [
            statistic(np.concatenate([rows[i] for i in rng.integers(0, len(names), len(names))]))
            for _ in range(draws)
        ]
    )
    low, high = _interval(values)
    return float(statistic(np.arange(len(groups)))), low, high


def _interval(values: np.ndarray) -> tuple[float, float]:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
