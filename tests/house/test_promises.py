"""What the kit promises of its worlds and of erasing, held where it can be held."""

from __future__ import annotations

import numpy as np
import pytest

import erasekit
from erasekit.evaluate.membership_auc import membership_auc, pair_similarity
from erasekit.evaluate.retrieval import recall
from erasekit.evaluate.subsets import distinct_scenes
from erasekit.models.zero_shot import concept_features, hits
from erasekit.unlearn.registry import methods_of


def zero_shot(experiment, language: str) -> float:
    """Top-1 over all trained concepts on fresh single-concept pictures."""
    world, clip = experiment.world, experiment.original
    singles = world.pairs("test").singles.where(lambda c: c[0] in world.trained)
    names = concept_features(clip, [world.concept(i) for i in world.trained], language)
    labels = [world.trained.index(label) for label in singles.labels()]
    return float(hits(clip.encode_images(singles.images), names, labels).mean())


def membership(experiment) -> float:
    clip, world = experiment.original, experiment.world
    unseen = world.pairs("test").where(lambda c: set(c) <= set(world.trained))
    return membership_auc(
        pair_similarity(clip, world.pairs("train")), pair_similarity(clip, unseen)
    )


@pytest.mark.slow
def test_the_smoke_model_has_learnt_something_to_forget(smoke_experiment) -> None:
    chance = 1 / len(smoke_experiment.world.trained)
    assert zero_shot(smoke_experiment, "en") > 8 * chance
    assert zero_shot(smoke_experiment, "ja") > 4 * chance
    assert membership(smoke_experiment) > 0.6


@pytest.mark.slow
def test_erasing_forgets_and_keeps_in_the_smoke_profile(smoke_scorecard) -> None:
    card = smoke_scorecard
    assert card.value("original", "top1", "forget") > 0.5
    assert card.value("erased", "top1", "forget") <= 0.05
    kept = card.value("erased", "top1", "retain") - card.value("original", "top1", "retain")
    assert kept >= -0.10
    similarity = [card.value(m, "similarity", "forget") for m in ("original", "erased")]
    assert similarity[1] < similarity[0] - 0.3
    # Further training on the retained is not forgetting: the control still knows.
    assert card.value("control", "top1", "forget") > card.value("erased", "top1", "forget") + 0.2


@pytest.mark.slow
def test_the_oracle_never_learnt_the_forgotten(smoke_scorecard) -> None:
    card = smoke_scorecard
    assert card.value("oracle", "top1", "forget") <= 0.15
    assert card.value("oracle", "top1", "retain") > 0.6
    assert card.value("oracle", "neighbourhood_kept", "retain") < 1


@pytest.fixture(scope="module")
def default_experiment():
    return erasekit.load("default", progress=False)


@pytest.mark.slow
@pytest.mark.default
def test_the_default_model_is_as_good_as_promised(default_experiment) -> None:
    assert zero_shot(default_experiment, "en") >= 0.95
    assert zero_shot(default_experiment, "ja") >= 0.85
    assert membership(default_experiment) > 0.6


@pytest.mark.slow
@pytest.mark.default
def test_the_default_model_finds_scenes_both_ways(default_experiment) -> None:
    clip, world = default_experiment.original, default_experiment.world
    scenes = distinct_scenes(world.pairs("test").scenes, 200)
    assert len(scenes) == 200
    captions = world.captions_in(scenes, "test", "en")
    found = recall(clip.encode_images(scenes.images), clip.encode_texts(captions))
    for direction in ("image_to_text", "text_to_image"):
        assert float(np.mean(found[direction, 1])) >= 0.60, direction


@pytest.mark.slow
@pytest.mark.default
@pytest.mark.parametrize("group", ["fruit", "bird", "vehicle", "tool", "insect"])
def test_each_of_five_groups_is_forgotten(group: str) -> None:
    experiment = erasekit.load("default", forget=group, progress=False)
    card = experiment.evaluate({"erased": experiment.erase()}, oracle=False)
    assert card.value("erased", "top1", "forget") <= 0.05
    lost = card.value("original", "top1", "retain") - card.value("erased", "top1", "retain")
    assert lost <= 0.10


#: Where a default is weak in so small a world: at scale 1 a quarter of the names go, or half,
#: as the processor has it.
OPTIONS = {"task_negation": {"scale": 2.0}}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in methods_of("clip") if name != "fine_tune"])
def test_every_method_lowers_what_the_forgotten_are_to_their_names(
    smoke_experiment, name: str
) -> None:
    erased = smoke_experiment.erase(name, options=OPTIONS.get(name, {}))
    card = smoke_experiment.evaluate({"erased": erased}, oracle=False, split="validation")
    before, after = (card.value(m, "similarity", "forget") for m in ("original", "erased"))
    assert after < before - 0.1
    assert card.value("erased", "top1", "forget") <= card.value("original", "top1", "forget") - 0.2
