"""The embedded world: finite lists, each sample on its own, pictures as described."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import resvg_py
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.concepts import curated, drawing_path
from erasekit.data.drawn.world import World, drawing
from erasekit.data.worlds import SPLITS, Sample
from erasekit.errors import UsageError

SPEC = WorldSpec(concepts=12, pictures=3, scenes=5, held_out_pictures=3)


@pytest.fixture(scope="module")
def world() -> World:
    return World(SPEC)


def same(one: Sample, other: Sample) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name))
        for f in dataclasses.fields(Sample)
    )


@settings(max_examples=30, deadline=None)
@given(position=st.integers(0, 95), split=st.sampled_from(SPLITS))
def test_a_sample_depends_on_its_position_alone(position: int, split: str) -> None:
    # A new world that was asked for nothing else gives the same sample.
    assert same(World(SPEC).sample(split, position), SHARED.sample(split, position))


SHARED = World(SPEC)
for _split in SPLITS:
    SHARED.samples(_split)


def test_leaving_samples_out_changes_no_picture(world: World) -> None:
    samples = world.samples("train")
    whole = world.pairs("train").images
    kept = [i for i in range(len(samples)) if i % 3]
    assert torch.equal(world.render([samples[i] for i in kept]), whole[kept])
    assert torch.equal(world.render([samples[7]]), whole[7:8])


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_the_batch_size_of_rendering_changes_no_pixel(world: World, batch: int) -> None:
    samples = world.samples("train")[::2]
    assert torch.equal(world.render(samples, batch=batch), world.render(samples))


def test_a_list_is_the_same_each_time_it_is_made(world: World) -> None:
    again = World(SPEC).pairs("test")
    assert torch.equal(again.images, world.pairs("test").images)
    assert again.captions == world.pairs("test").captions


def test_the_seed_decides_the_pictures(world: World) -> None:
    other = World(dataclasses.replace(SPEC, seed=1))
    changed = (other.pairs("train").images != world.pairs("train").images).flatten(1).any(1)
    assert changed.all()


def test_splits_share_no_image(world: World) -> None:
    pictures = [image.numpy().tobytes() for split in SPLITS for image in world.pairs(split).images]
    assert len(set(pictures)) == len(pictures) == sum(sum(world.counts(s)) for s in SPLITS)


def test_counts_are_as_specified(world: World) -> None:
    n = len(world.trained)
    assert n == 12
    assert world.counts("train") == (n * 3, n * 5, 0)
    assert world.counts("validation") == (n, 64, 8)
    assert world.counts("test") == (n * 3, 400, 24)
    for split in SPLITS:
        pairs = world.pairs(split)
        singles, scenes, holdout = world.counts(split)
        assert len(pairs) == singles + scenes + holdout
        assert len(pairs.scenes) == scenes
        assert list(pairs.positions) == list(range(len(pairs)))
    with pytest.raises(UsageError, match="unknown split 'trian'"):
        world.counts("trian")


def test_every_concept_has_its_pictures(world: World) -> None:
    labels = world.pairs("train").singles.labels()
    assert {int((labels == c).sum()) for c in world.trained} == {3}
    labels = world.pairs("test").singles.labels()
    assert {int((labels == c.index).sum()) for c in world.concepts} == {3}


def test_no_training_sees_the_holdout(world: World) -> None:
    held_out = set(world.holdout)
    assert len(held_out) >= 8
    assert all(held_out.isdisjoint(c) for c in world.pairs("train").concepts)
    for split in ("validation", "test"):
        scenes = world.pairs(split).scenes
        assert all(held_out.isdisjoint(c) for c in scenes.concepts)
        assert held_out <= {c[0] for c in world.pairs(split).singles.concepts}


def test_scenes_show_two_or_three_different_concepts(world: World) -> None:
    sizes = {len(set(c)) for c in world.pairs("train").scenes.concepts}
    assert sizes == {2, 3}
    assert all(len(set(c)) == len(c) for c in world.pairs("train").concepts)


def test_half_the_captions_are_english_and_no_language_is_left_out() -> None:
    languages = [s.language for s in World(WorldSpec(concepts=40, pictures=30)).samples("train")]
    share = {code: languages.count(code) / len(languages) for code in set(languages)}
    assert share["en"] == pytest.approx(0.5, abs=0.04)
    for code in ("ja", "ru", "ar"):
        assert share[code] == pytest.approx(1 / 6, abs=0.03)
    alone = World(WorldSpec(concepts=8, languages=("en",)))
    assert {s.language for s in alone.samples("train")} == {"en"}


@pytest.mark.parametrize(("x", "y"), [(0.3, 0.7), (0.7, 0.3), (0.5, 0.5), (0.25, 0.25)])
def test_a_drawing_stands_where_its_centre_says(world: World, x: float, y: float) -> None:
    plain = dataclasses.replace(
        world.samples("train")[0],
        sizes=np.array([0.3]),
        turns=np.array([0.6]),
        centres=np.array([[x, y]]),
    )
    away = dataclasses.replace(plain, centres=np.array([[9.0, 9.0]]))
    with_it, without = world.render([plain, away]).float()
    touched = (with_it - without).abs().sum(0)
    rows, columns = torch.nonzero(touched > 8, as_tuple=True)
    size = world.spec.image_size
    middle = [
        (columns.min() + columns.max() + 1) / 2 / size,
        (rows.min() + rows.max() + 1) / 2 / size,
    ]
    assert middle == pytest.approx([x, y], abs=0.06)
    # Nothing is drawn beyond the drawing's own square, turned or not.
    assert (columns.max() - columns.min() + 1) / size <= 0.3 * 1.42 + 0.06


def test_size_makes_a_drawing_larger(world: World) -> None:
    def area(size: float) -> int:
        base = dataclasses.replace(world.samples("train")[0], centres=np.array([[0.5, 0.5]]))
        there = dataclasses.replace(base, sizes=np.array([size]))
        away = dataclasses.replace(base, centres=np.array([[9.0, 9.0]]))
        one, none = world.render([there, away]).float()
        return int(((one - none).abs().sum(0) > 8).sum())

    assert area(0.8) / area(0.4) == pytest.approx(4, rel=0.25)


def test_an_upright_drawing_is_the_openmoji_drawing() -> None:
    """A single filling the picture, unturned and untinted, is what Pillow composes."""
    world = World(WorldSpec(concepts=8, pictures=1, scenes=0, held_out_pictures=3, image_size=64))
    grey = np.full((2, 3), 0.5)
    sample = dataclasses.replace(
        world.samples("train")[0],
        centres=np.array([[0.5, 0.5]]),
        sizes=np.array([1.0]),
        turns=np.array([0.0]),
        tints=np.ones((1, 3)),
        background=grey,
    )
    path = drawing_path(world.concept(sample.concepts[0]).emoji)
    png = resvg_py.svg_to_bytes(svg_path=str(path), width=64, height=64)
    over = Image.open(io.BytesIO(png)).convert("RGBA")
    expected = Image.alpha_composite(Image.new("RGBA", (64, 64), (128, 128, 128, 255)), over)
    found = world.render([sample])[0].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(found - np.asarray(expected.convert("RGB")).astype(int)).max() <= 2


def test_a_character_without_a_drawing_is_refused() -> None:
    assert drawing(curated()[0].emoji, 16).shape == (4, 16, 16)
    with pytest.raises(UsageError, match="no drawing of 'x'"):
        drawing("x", 16)
