"""Intervals: over concepts, repeatable, and as wide as they should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasekit.evaluate.bootstrap import bootstrap_mean, bootstrap_statistic


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-1, 1), min_size=1, max_size=60),
    groups=st.integers(1, 9),
    seed=st.integers(0, 9),
)
def test_the_mean_is_the_mean_and_the_interval_is_ordered(
    values: list[float], groups: int, seed: int
) -> None:
    array = np.array(values)
    labels = np.arange(len(array)) % groups
    mean, low, high = bootstrap_mean(array, labels, draws=50, seed=seed)
    assert mean == pytest.approx(array.mean())
    assert array.min() - 1e-9 <= low <= high <= array.max() + 1e-9
    assert bootstrap_mean(array, labels, draws=50, seed=seed) == (mean, low, high)


def test_constant_values_have_no_width() -> None:
    assert bootstrap_mean(np.full(30, 0.25), np.arange(30) % 5) == (0.25, 0.25, 0.25)


def test_concepts_are_drawn_and_not_pictures() -> None:
    """100 pictures of 4 concepts, alike within each: as uncertain as 4 numbers are."""
    groups = np.repeat(np.arange(4), 100)
    values = np.repeat([0.0, 0.0, 1.0, 1.0], 100)
    _, low, high = bootstrap_mean(values, groups)
    assert (low, high) == (0.0, 1.0)
    _, low, high = bootstrap_mean(values, np.arange(400))
    assert 0.4 < low < 0.5 < high < 0.6
    assert bootstrap_mean(values[:200], groups[:200])[1:] == (0.0, 0.0)


def test_groups_of_different_size_weigh_by_their_pictures() -> None:
    values, groups = np.array([1.0, 0.0, 0.0, 0.0]), np.array([0, 1, 1, 1])
    mean, low, high = bootstrap_mean(values, groups, draws=400)
    # Drawn are (0,0), (0,1) and (1,1): 1, a quarter, and 0.
    assert (mean, low, high) == (0.25, 0.0, 1.0)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    groups = np.repeat(np.arange(40), 5)
    for trial in range(400):
        concept = rng.normal(0.5, 0.1, 40)
        values = np.repeat(concept, 5) + rng.normal(0, 0.05, 200)
        _, low, high = bootstrap_mean(values, groups, draws=1000, seed=trial)
        covered += low <= 0.5 <= high
    assert 0.88 <= covered / 400 <= 0.99


def test_any_statistic_agrees_with_the_mean() -> None:
    rng = np.random.default_rng(1)
    values, groups = rng.random(60), np.arange(60) % 12
    plain = bootstrap_mean(values, groups, draws=2000)
    general = bootstrap_statistic(lambda rows: float(values[rows].mean()), groups, draws=2000)
    assert general == pytest.approx(plain, abs=0.01)


def test_a_statistic_gets_whole_groups() -> None:
    groups = np.array([3, 3, 7, 7, 7, 9])
    seen: list[np.ndarray] = []

    def watch(rows: np.ndarray) -> float:
        seen.append(groups[rows])
        return 0.0

    assert bootstrap_statistic(watch, groups, draws=30) == (0.0, 0.0, 0.0)
    for drawn in seen:
        names, counts = np.unique(drawn, return_counts=True)
        sizes = {3: 2, 7: 3, 9: 1}
        assert all(c % sizes[int(name)] == 0 for name, c in zip(names, counts, strict=True))
        assert sum(c // sizes[int(n)] for n, c in zip(names, counts, strict=True)) == 3
    assert seen[-1].tolist() == groups.tolist()  # the value itself is of the whole
