"""Composition leaks: the captions to choose from, and near-duplicates that are such."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from erasekit.audit.attacks.composition_leaks import (
    caption_choices,
    composition_leaks,
    first_of_choices,
    near_duplicates,
)
from erasekit.data.drawn.captions import name_in
from erasekit.evaluate.naming import best_names, forgotten_singles


def test_only_the_forgotten_name_differs_between_captions(tiny_experiment) -> None:
    task = tiny_experiment.task
    world = task.world
    scenes = world.pairs("test").scenes.where(task.touches)
    of, rows, captions = caption_choices(task, scenes, "test")
    items = [
        (r, c) for r, shown in enumerate(scenes.concepts) for c in shown if c in task.forgotten
    ]
    assert list(zip(rows.tolist(), of.tolist(), strict=True)) == items
    assert any(len(set(shown) & set(task.forgotten)) > 1 for shown in scenes.concepts)
    told = world.captions_in(scenes, "test", "en")
    for (row, forgotten), options in zip(items, captions, strict=True):
        absent = [i for i in task.retained if i not in scenes.concepts[row]]
        own = name_in(world.concept(forgotten), "en")
        # No name of this world is part of another's, so that replacing text is exact.
        assert options == [
            told[row],
            *(told[row].replace(own, name_in(world.concept(i), "en")) for i in absent),
        ]
        assert len(set(options)) == 1 + len(absent)


def test_the_first_caption_wins_only_when_nearest_and_ties_lose(tiny_experiment) -> None:
    clip = tiny_experiment.original
    pairs = tiny_experiment.world.pairs("test").take(range(12))
    captions = [["a banana", "a parrot", "grapes"], ["a parrot", "a banana"]] * 6
    found = first_of_choices(clip, pairs.images, captions)
    for image, options, right in zip(
        clip.encode_images(pairs.images).numpy(), captions, found, strict=True
    ):
        similarity = clip.encode_texts(options).numpy() @ image
        assert right == float(similarity.argmax() == 0)
    assert 0 < found.mean() < 1
    assert first_of_choices(clip, pairs.images, [["a banana", "a banana"]] * 12).sum() == 0


def test_measures_are_those_of_the_parts(tiny_experiment) -> None:
    e = tiny_experiment
    result = composition_leaks({"original": e.original}, e.task, draws=20, scenes=7)
    found = {m.condition: m for m in result.measures}
    assert list(found) == ["scene", "mirrored", "recoloured", "outlined"]
    singles = forgotten_singles(e.task, "test")
    mirrored = near_duplicates(e.world, singles, "test")["mirrored"]
    said = best_names(e.original, e.world, replace(singles, images=mirrored), 1)
    right = [
        names[0][0] == e.world.concept(label).name
        for names, label in zip(said, singles.labels(), strict=True)
    ]
    assert found["mirrored"].estimate.value == pytest.approx(np.mean(right))
    assert found["mirrored"].chance == 1 / len(e.world.trained)
    # Of four retained concepts, up to two are in the scene: three to five captions are there.
    assert 1 / 5 <= found["scene"].chance <= 1 / 3
    assert 7 <= found["scene"].estimate.n <= 21
    shares = [r["top1"] for r in result.details if r["condition"] == "mirrored"]
    assert np.mean(shares) == pytest.approx(np.mean(right))


def test_near_duplicates_keep_what_they_do_not_change(tiny_experiment) -> None:
    e = tiny_experiment
    singles = forgotten_singles(e.task, "test")
    found = near_duplicates(e.world, singles, "test")
    plain = singles.images
    assert torch.equal(found["mirrored"].flip(-1), plain)
    red, green, blue = found["recoloured"].unbind(1)
    assert torch.equal(torch.stack([green, red, blue], 1), plain)
    for images in found.values():
        assert images.shape == plain.shape
        assert images.dtype == torch.uint8
        assert (images != plain).flatten(1).any(1).all()
    # The lines stay dark where they were, and what they enclose shows the background again.
    lines = found["outlined"].float().mean(1)
    assert ((lines < 80).flatten(1).sum(1) > 0).all()
    assert lines.mean() > plain.float().mean()
    corners = (..., [0, 0, -1, -1], [0, -1, 0, -1])
    same = (found["outlined"][corners] == plain[corners]).float().mean()
    assert same > 0.9  # a drawing seldom reaches a corner


def test_without_a_scene_only_near_duplicates_are_measured(tiny_experiment, monkeypatch) -> None:
    e = tiny_experiment
    world = e.world
    singles = world.pairs("test").singles
    monkeypatch.setattr(world, "pairs", lambda split: singles)
    result = composition_leaks({"original": e.original}, e.task, draws=20)
    assert {m.metric for m in result.measures} == {"near_duplicate"}
    assert result.notes == ["No test scene shows a forgotten concept: none is asked about."]


@pytest.mark.slow
def test_the_original_knows_scenes_and_mirror_pictures_and_the_oracle_does_not(
    smoke_experiment, smoke_erasure
) -> None:
    models = {
        "original": smoke_experiment.original,
        "erased": smoke_erasure.model,
        "oracle": smoke_experiment.oracle,
    }
    result = composition_leaks(models, smoke_experiment.task, draws=50)
    value = {(m.model, m.condition): m.estimate.value for m in result.measures}
    for condition in ("scene", "mirrored"):
        assert value["original", condition] > value["oracle", condition] + 0.1
    assert value["erased", "mirrored"] < 0.2
