"""The likelihood-ratio attack: its arithmetic, its shadows, and that they are kept."""

from __future__ import annotations

import numpy as np
import pytest
from support import fingerprint

from erasekit.audit.attacks import lira as module
from erasekit.audit.attacks.lira import assign, lira, log_likelihood_ratio, unbounded
from erasekit.audit.attacks.membership import make_pool
from erasekit.data.task import ErasureTask
from erasekit.errors import UsageError
from erasekit.evaluate.membership_auc import membership_auc
from erasekit.models.train_spec import TrainSpec

TRAIN = TrainSpec(steps=4, batch=8)
SHADOWS = 4


@pytest.fixture(scope="module")
def models(tiny_experiment, tiny_erasure):
    e = tiny_experiment
    return {"original": e.original, "erased": tiny_erasure.model, "oracle": e.oracle}


@pytest.fixture(scope="module")
def result(models, tiny_experiment):
    return lira(models, tiny_experiment.task, draws=10, shadows=SHADOWS, train=TRAIN)


@pytest.mark.parametrize("shadows", [4, 5, 8])
def test_every_pair_is_in_half_of_the_shadows(shadows: int) -> None:
    seen = assign(shadows, 200, seed=0)
    assert (seen.sum(0) == shadows // 2).all()
    assert (assign(shadows, 200, seed=0) == seen).all()
    assert (assign(shadows, 200, seed=1) != seen).any()
    # Which shadow sees a pair is drawn for each pair anew.
    assert len({tuple(column) for column in seen.T}) > 2


def test_the_transform_has_no_bounds() -> None:
    cosine = np.array([-0.9, 0.0, 0.5])
    assert unbounded(cosine) == pytest.approx(0.5 * np.log((1 + cosine) / (1 - cosine)))
    assert np.isfinite(unbounded(np.array([-1.0, 1.0]))).all()


def test_the_ratio_by_hand() -> None:
    expected = np.array([[1.0, 5.0], [2.0, 4.0], [8.0, 0.0], [9.0, 3.0]])
    seen = np.array([[False, True], [False, True], [True, False], [True, False]])
    # Pair 0: in 8.5, out 1.5; pair 1: in 4.5, out 1.5. Squares about the means sum to
    # .5 + .5 + .5 + 4.5, on 8 − 4 degrees of freedom.
    variance = 6 / 4
    own = np.array([6.0, 2.0])
    by_hand = [
        ((own[i] - out) ** 2 - (own[i] - inside) ** 2) / (2 * variance)
        for i, (inside, out) in enumerate([(8.5, 1.5), (4.5, 1.5)])
    ]
    assert log_likelihood_ratio(own, expected, seen) == pytest.approx(by_hand)


def test_a_score_far_below_both_speaks_against_membership() -> None:
    """However much wider those that saw the pair vary: over-forgetting is no membership."""
    seen = np.array([[True], [True], [False], [False]])
    expected = np.array([[3.0], [7.0], [0.9], [1.1]])
    ratios = [log_likelihood_ratio(np.array([own]), expected, seen)[0] for own in (-50, 0, 3, 50)]
    assert ratios == sorted(ratios)
    assert ratios[0] < 0 < ratios[-1]


def test_it_finds_planted_members_that_the_score_alone_does_not() -> None:
    """Easy and hard pairs: the score says how easy a pair is, the ratio whether it was seen."""
    rng = np.random.default_rng(0)
    pairs, shadows = 400, 8
    ease = rng.normal(scale=10, size=pairs)
    seen = assign(shadows, pairs, seed=1)
    expected = ease + seen + rng.normal(scale=0.3, size=seen.shape)
    member = np.arange(pairs) < pairs // 2
    own = ease + member + rng.normal(scale=0.3, size=pairs)
    ratio = log_likelihood_ratio(own, expected, seen)
    assert membership_auc(ratio[member], ratio[~member]) > 0.9
    assert membership_auc(own[member], own[~member]) < 0.65


def test_too_few_shadows_are_refused(models, tiny_experiment) -> None:
    with pytest.raises(UsageError, match="shadows = 3: must be at least 4"):
        lira(models, tiny_experiment.task, shadows=3)


def test_too_few_pairs_train_no_shadow(models, tiny_experiment, monkeypatch) -> None:
    monkeypatch.setattr(module, "LEAST_COUPLES", 10_000)
    monkeypatch.setattr(module, "train_clip", None)
    found = lira(models, tiny_experiment.task, shadows=SHADOWS, train=TRAIN)
    assert found.measures == []
    assert "Nothing was measured" in found.notes[0]


def test_every_model_is_measured_and_stays_as_it_is(models, tiny_experiment, result) -> None:
    before = {name: fingerprint(clip.model) for name, clip in models.items()}
    again = lira(models, tiny_experiment.task, draws=10, shadows=SHADOWS, train=TRAIN)
    assert before == {name: fingerprint(clip.model) for name, clip in models.items()}
    kinds = [(m.model, m.metric, m.condition, m.chance) for m in result.measures]
    assert kinds == [
        (model, *kind)
        for model in models
        for kind in (("auc", "", 0.5), ("tpr_at_1_fpr", "", 0.01))
    ]
    for measure, twin in zip(result.measures, again.measures, strict=True):
        assert np.isfinite(measure.estimate.replicates).all()
        assert measure.estimate.value == twin.estimate.value
        assert measure.estimate.replicates.tolist() == twin.estimate.replicates.tolist()
    assert result.details == again.details
    assert {record["model"] for record in result.details} == set(models)
    assert "4 shadow models were trained, 4 steps each" in result.notes[-1]


def test_a_second_run_trains_nothing(models, tiny_experiment, result, monkeypatch) -> None:
    def train(*args, **options):
        raise AssertionError("a shadow was trained again")

    monkeypatch.setattr(module, "train_clip", train)
    alone = {"original": models["original"]}
    found = lira(alone, tiny_experiment.task, draws=10, shadows=SHADOWS, train=TRAIN)
    assert found.measures[0].estimate.value == result.measures[0].estimate.value
    with pytest.raises(AssertionError, match="trained again"):  # another assignment
        lira(alone, tiny_experiment.task, shadows=SHADOWS, train=TRAIN, seed=5)


def test_a_shadow_of_another_retain_set_is_another(models, tiny_experiment, result) -> None:
    """A kept shadow cannot hide that the list it was trained on was wrong."""
    task = ErasureTask(tiny_experiment.world, tiny_experiment.settings.forget)
    _ = task.forget
    task.__dict__["retain"] = tiny_experiment.world.pairs("train")
    alone = {"original": models["original"]}
    found = lira(alone, task, draws=10, shadows=SHADOWS, train=TRAIN)
    assert found.measures[0].estimate.value != result.measures[0].estimate.value


def test_a_shadow_sees_the_retain_set_and_its_half_of_the_pool(
    models, tiny_experiment, empty_cache, monkeypatch
) -> None:
    lists, seeds, labels = [], [], []
    real = module.train_clip

    def spy(world, pairs, spec, folder, **options):
        lists.append(pairs)
        seeds.append(spec.seed)
        labels.append(options["label"])
        return real(world, pairs, spec, folder, **options)

    monkeypatch.setattr(module, "train_clip", spy)
    task = tiny_experiment.task
    lira({"original": models["original"]}, task, draws=2, shadows=SHADOWS, train=TRAIN)
    pool = make_pool(task, "test")
    images = [image.numpy().tobytes() for p in (pool.members, pool.others) for image in p.images]
    retain = [image.numpy().tobytes() for image in task.retain.images]
    held = [[image.numpy().tobytes() for image in pairs.images] for pairs in lists]
    for own in held:
        assert own[: len(retain)] == retain
        assert set(own[len(retain) :]) <= set(images)
    assert all(sum(image in own for own in held) == SHADOWS // 2 for image in images)
    assert all(len(p) == len(p.concepts) == len(p.positions) for p in lists)
    # Of the forgotten, a shadow sees nothing but its half of the pool.
    gone = {c.index for c in task.world.concepts if c.group == "fruit"}
    pairs = [sample for sample in task.world.samples("train") if gone.isdisjoint(sample.concepts)]
    for own in lists:
        first = own.concepts[: len(pairs)]
        assert first == tuple(sample.concepts for sample in pairs)
        assert all(not gone.isdisjoint(concepts) for concepts in own.concepts[len(pairs) :])
    assert labels == [f"shadow {i} of 4" for i in (1, 2, 3, 4)]
    assert len(set(seeds)) == SHADOWS
    assert min(seeds) > 100  # no oracle starts from the same weights


@pytest.mark.slow
def test_the_original_betrays_its_members_and_the_oracle_does_not(smoke_experiment) -> None:
    e = smoke_experiment
    models = {"original": e.original, "oracle": e.oracle}
    found = lira(models, e.task, draws=50, **module.TEST.smoke)
    auc = {m.model: m.estimate.value for m in found.measures if m.metric == "auc"}
    assert auc["original"] > 0.9
    assert abs(auc["oracle"] - 0.5) < 0.1
