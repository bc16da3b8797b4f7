"""Pictures drawn again: exact cut-outs, and lines without their colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from erasekit.audit.fresh_pictures import LineWorld, cut_out, line_drawing, on_plain, samples_of
from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.concepts import curated
from erasekit.data.drawn.world import World, drawing


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldSpec(concepts=12, pictures=3, scenes=2, held_out_pictures=3))


def test_samples_are_those_that_the_pictures_were_rendered_from(world: World) -> None:
    pairs = world.pairs("test").singles.take([4, 2, 17])
    assert torch.equal(world.render(samples_of(world, pairs, "test")), pairs.images)


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_cut_out_on_a_plain_background_is_the_picture_on_it(world: World, level: float) -> None:
    samples = world.samples("test")[:36]
    light, through = cut_out(world, samples)
    plain = on_plain(samples, level)
    expected = world.render(plain).float()
    found = (light + through * level).clamp(0, 1) * 255
    # Both parts were rounded to bytes; a tint above 1 was cut at the top in one of them.
    assert (found - expected).abs().max() <= 1.01
    bare = world.render([replace(s, centres=s.centres + 9) for s in plain])
    assert (bare == round(255 * level)).all()


def test_making_plain_leaves_the_samples_as_they_are(world: World) -> None:
    samples = world.samples("test")[:3]
    before = [s.background.copy() for s in samples]
    on_plain(samples, 0.0)
    assert all(np.array_equal(s.background, b) for s, b in zip(samples, before, strict=True))


def test_lines_are_black_and_are_lines_of_the_drawing_itself() -> None:
    for concept in curated():
        whole, lines = drawing(concept.emoji, 64), line_drawing(concept.emoji, 64)
        assert lines.shape == whole.shape
        assert (lines[:3] == 0).all()
        assert 0 < lines[3].mean() < whole[3].mean()
        assert (lines[3] <= whole[3] + 1 / 255).all(), concept.name


def test_a_line_world_draws_the_same_samples_in_lines(world: World) -> None:
    samples = on_plain(world.samples("test")[:12], 1.0)
    lines = LineWorld(world.spec).render(samples).float()
    assert (lines.amax(1) == lines.amin(1)).all()  # no colour is left
    assert ((lines < 128).flatten(1).any(1)).all()
    # Wherever a line is, the coloured picture has the drawing.
    drawn = 1 - cut_out(world, samples)[1]
    assert (drawn[lines < 200] > 0.2).all()
