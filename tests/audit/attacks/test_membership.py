"""Membership: like is held against like, the attacks are what they say, and nothing is moved."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from erasekit.audit import member_pool
from erasekit.audit.attacks.membership import TEST, attack, confidence, membership
from erasekit.audit.member_pool import Pool, make_pool
from erasekit.data.drawn.captions import prompts
from erasekit.data.task import ErasureTask
from erasekit.evaluate.membership_auc import membership_auc


def made_pool(concepts: list[int], pairs) -> Pool:
    """A pool of these concepts; the pairs themselves play no part."""
    empty = pairs.take([])
    return Pool(empty, empty, np.array(concepts))


@pytest.fixture(scope="module")
def pool(tiny_experiment) -> Pool:
    return make_pool(tiny_experiment.task, "test")


def first_forgotten(concepts: tuple[int, ...], task: ErasureTask) -> int:
    return min((c for c in concepts if task.touches((c,))), key=concepts.index)


def by(result) -> dict:
    return {(m.model, m.metric, m.condition): m for m in result.measures}


def test_confidence_is_the_log_odds_of_a_softmax(tiny_experiment) -> None:
    e = tiny_experiment
    world, clip, pairs = e.world, e.original, e.task.forget
    names = np.stack(
        [
            clip.encode_texts(prompts(world.concept(i))).double().numpy().mean(0)
            for i in world.trained
        ]
    )
    names /= np.linalg.norm(names, axis=1, keepdims=True)
    logits = clip.encode_images(pairs.images).double().numpy() @ names.T
    odds = np.exp(logits * float(clip.model.logit_scale.exp()))
    share = odds / odds.sum(1, keepdims=True)
    own = [world.trained.index(first_forgotten(cs, e.task)) for cs in pairs.concepts]
    expected = share[np.arange(len(pairs)), own]
    assert confidence(clip, e.task, pairs) == pytest.approx(
        np.log(expected / (1 - expected)), abs=1e-4
    )


def test_a_fitted_attacker_learns_which_way_the_scores_point(tiny_experiment) -> None:
    """Members pushed below all others: over-forgetting, which only the signed AUC shows as such."""
    pool = made_pool([0] * 30 + [1] * 30, tiny_experiment.task.forget)
    noise = np.random.default_rng(0).normal(size=120)
    pushed_down = noise - 3 * pool.is_member
    said = attack(pushed_down[:, None], pool)
    member = pool.is_member
    assert membership_auc(pushed_down[member], pushed_down[~member]) < 0.1
    assert membership_auc(said[member], said[~member]) > 0.9


def test_the_attacker_is_fitted_on_other_concepts(tiny_experiment) -> None:
    pool = made_pool([4] * 12 + [7] * 20, tiny_experiment.task.forget)
    scores = np.random.default_rng(1).normal(size=(64, 2)) + pool.is_member[:, None]
    said = attack(scores, pool)
    for concept in (4, 7):
        own = pool.groups == concept
        mean, spread = scores[~own].mean(0), scores[~own].std(0)
        fitted = LogisticRegression().fit((scores[~own] - mean) / spread, pool.is_member[~own])
        expected = ((scores[own] - mean) / spread) @ fitted.coef_[0] + fitted.intercept_[0]
        assert said[own] == pytest.approx(expected, abs=1e-3)


def test_every_model_is_measured_by_every_score(tiny_experiment, models, pool) -> None:
    result = membership(models, tiny_experiment.task, draws=20)
    kinds = {
        *((metric, c) for metric in ("auc", "tpr_at_1_fpr") for c in ("loss", "confidence")),
        *(("attack_auc", c) for c in ("loss", "confidence", "both")),
    }
    assert set(by(result)) == {(model, *kind) for model in models for kind in kinds}
    for measure in result.measures:
        assert measure.estimate.n == 2 * len(pool)
        assert measure.chance == (0.01 if measure.metric == "tpr_at_1_fpr" else 0.5)
    assert {(r["model"], r["condition"]) for r in result.details} == {
        (model, c) for model in models for c in ("loss", "confidence", "both")
    }
    assert f"{len(pool)} training pairs" in result.notes[0]


def test_the_signed_auc_is_the_share_of_pairs_told_apart(tiny_experiment, models, pool) -> None:
    result = membership(models, tiny_experiment.task, draws=5)
    scores = pool.similarities(models["erased"])
    members, others = scores[: len(pool)], scores[len(pool) :]
    won = np.mean([(m > others) + 0.5 * (m == others) for m in members])
    assert by(result)["erased", "auc", "loss"].estimate.value == pytest.approx(float(won))


def test_one_concept_alone_can_be_attacked(tiny_experiment, monkeypatch) -> None:
    monkeypatch.setattr(member_pool, "LEAST_COUPLES", 5)
    world = tiny_experiment.world
    task = ErasureTask(world, world.concept(world.trained[0]).name)
    result = membership({"original": tiny_experiment.original}, task, draws=5)
    assert len(result.measures) == 7
    for measure in result.measures:
        # One concept has one draw: itself.
        assert measure.estimate.replicates == pytest.approx(measure.estimate.value)


def test_too_few_pairs_are_said_and_not_measured(tiny_experiment, monkeypatch) -> None:
    monkeypatch.setattr(member_pool, "LEAST_COUPLES", 10_000)
    result = membership({"original": tiny_experiment.original}, tiny_experiment.task, draws=5)
    assert result.measures == [] and result.details == []
    assert "at least 10000 are needed" in result.notes[0]


def test_only_the_signed_measures_are_judged() -> None:
    senses = {metric.name: metric.sense for metric in TEST.metrics}
    assert senses == {"auc": "remembered", "tpr_at_1_fpr": "remembered", "attack_auc": "reported"}


@pytest.mark.slow
def test_the_original_betrays_its_members_and_the_oracle_does_not(
    smoke_experiment, smoke_erasure
) -> None:
    e = smoke_experiment
    models = {"original": e.original, "erased": smoke_erasure.model, "oracle": e.oracle}
    found = by(membership(models, e.task, draws=10))  # only intervals take more
    assert found["original", "auc", "loss"].estimate.value > 0.9
    assert found["original", "attack_auc", "both"].estimate.value > 0.9
    assert found["original", "tpr_at_1_fpr", "loss"].estimate.value > 0.3
    assert abs(found["oracle", "auc", "loss"].estimate.value - 0.5) < 0.1
    assert found["oracle", "tpr_at_1_fpr", "loss"].estimate.value < 0.1
