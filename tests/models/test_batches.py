"""Batches: no false negative, every pair used, the same plan each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasekit.errors import UsageError
from erasekit.models.batches import plan_batches

CONCEPTS = st.lists(
    st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True).map(tuple),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(concepts=CONCEPTS, data=st.data())
def test_a_batch_never_holds_the_same_concepts_twice(
    concepts: list[tuple[int, ...]], data: st.DataObject
) -> None:
    keys = [frozenset(c) for c in concepts]
    batch = data.draw(st.integers(1, len(set(keys))))
    plan = plan_batches(concepts, steps=12, batch=batch, seed=3)
    assert plan.shape == (12, batch)
    for rows in plan:
        assert len({keys[i] for i in rows}) == batch


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 30), batch=st.integers(1, 8), seed=st.integers(0, 5))
def test_every_pair_is_used_equally_often(n: int, batch: int, seed: int) -> None:
    plan = plan_batches([(0,)] * n, steps=3 * n, batch=batch, seed=seed, distinct=False)
    used = np.bincount(plan.ravel(), minlength=n)
    assert used.tolist() == [3 * batch] * n


def test_a_pair_that_had_to_wait_is_not_forgotten() -> None:
    concepts = [(i // 2,) for i in range(20)]  # each concept twice
    plan = plan_batches(concepts, steps=100, batch=6, seed=0)
    used = np.bincount(plan.ravel(), minlength=20)
    assert used.max() - used.min() <= 2  # thirty times each, give or take who waits at the end


def test_order_within_a_scene_does_not_make_it_another() -> None:
    with pytest.raises(UsageError, match="only 1 different sets"):
        plan_batches([(1, 2), (2, 1)], steps=1, batch=2, seed=0)


def test_the_seed_decides_the_plan() -> None:
    concepts = [(i,) for i in range(30)]
    plans = [plan_batches(concepts, steps=5, batch=8, seed=s) for s in (0, 0, 1)]
    assert np.array_equal(plans[0], plans[1])
    assert not np.array_equal(plans[0], plans[2])


def test_more_steps_begin_like_fewer() -> None:
    concepts = [(i % 9,) for i in range(30)]
    short = plan_batches(concepts, steps=4, batch=7, seed=2)
    assert np.array_equal(plan_batches(concepts, steps=9, batch=7, seed=2)[:4], short)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(UsageError, match="list of pairs is empty"):
        plan_batches([], steps=1, batch=1, seed=0)
