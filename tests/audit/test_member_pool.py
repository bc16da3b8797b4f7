"""Training pairs are compared with unseen ones that are like them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from erasekit.audit.attacks.membership import membership
from erasekit.audit.member_pool import MOST_ROC_POINTS, Pool, hits_at, make_pool, roc_points
from erasekit.data.task import ErasureTask

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=150)


def made_pool(concepts: list[int], pairs) -> Pool:
    """A pool of these concepts; the pairs themselves play no part."""
    empty = pairs.take([])
    return Pool(empty, empty, np.array(concepts))


@pytest.fixture(scope="module")
def pool(tiny_experiment) -> Pool:
    return make_pool(tiny_experiment.task, "test")


def first_forgotten(concepts: tuple[int, ...], task: ErasureTask) -> int:
    return min((c for c in concepts if task.touches((c,))), key=concepts.index)


def test_each_member_has_an_unseen_pair_like_it(tiny_experiment, pool: Pool) -> None:
    task = tiny_experiment.task
    unseen = task.forget_part(task.world.pairs("test"))

    def kind(concepts: tuple[int, ...]) -> tuple[int, int]:
        return first_forgotten(concepts, task), len(concepts)

    members = [kind(c) for c in pool.members.concepts]
    assert members == [kind(c) for c in pool.others.concepts]
    assert [concept for concept, _ in members] == pool.concepts.tolist()
    have, free = Counter(map(kind, task.forget.concepts)), Counter(map(kind, unseen.concepts))
    assert Counter(members) == have & free
    for chosen, whole in ((pool.members, task.forget), (pool.others, unseen)):
        assert len(set(chosen.positions.tolist())) == len(chosen) == len(pool)
        assert set(chosen.positions) <= set(whole.positions)


def test_rows_of_the_pool_are_members_first(tiny_experiment, pool: Pool) -> None:
    n = len(pool)
    assert pool.is_member.tolist() == [True] * n + [False] * n
    assert pool.groups.tolist() == [*pool.concepts, *pool.concepts]
    clip = tiny_experiment.original
    image, text = (
        clip.encode_images(pool.others.images[:1]),
        clip.encode_texts(pool.others.captions[:1]),
    )
    assert pool.similarities(clip)[n] == pytest.approx(float((image * text).sum()), abs=1e-5)


@settings(max_examples=80, deadline=None)
@given(members=SCORES, others=SCORES, rate=st.sampled_from([0.0, 0.01, 0.1]))
def test_hits_are_those_of_the_roc_curve(
    members: list[float], others: list[float], rate: float
) -> None:
    truth = [1] * len(members) + [0] * len(others)
    alarms, found, _ = roc_curve(truth, members + others, drop_intermediate=False)
    expected = found[alarms <= rate].max()
    assert hits_at(np.array(members), np.array(others), rate) == pytest.approx(expected)


def test_points_of_a_long_curve_are_few_and_span_it(tiny_experiment) -> None:
    pool = made_pool([0] * 400, tiny_experiment.task.forget)
    scores = np.random.default_rng(2).normal(size=800) + pool.is_member
    points = roc_points("original", "loss", scores, pool)
    assert 20 < len(points) <= MOST_ROC_POINTS
    curve = np.array([[p["fpr"], p["tpr"]] for p in points])
    assert curve[0].tolist() == [0, 0] and curve[-1].tolist() == [1, 1]
    assert (np.diff(curve, axis=0) >= 0).all()
    area = np.trapezoid(curve[:, 1], curve[:, 0])
    assert area == pytest.approx(roc_auc_score(pool.is_member, scores), abs=0.01)


def test_a_task_without_any_unseen_pair_has_an_empty_pool(tiny_experiment, monkeypatch) -> None:
    task = tiny_experiment.task
    monkeypatch.setattr(task, "forget_part", lambda pairs: pairs.take([]))
    assert len(make_pool(task, "test")) == 0
    assert membership({"original": tiny_experiment.original}, task).measures == []
