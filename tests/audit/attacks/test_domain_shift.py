"""Domain shift: pictures of another kind of the same things, and who is asked about them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from erasekit.audit.attacks.domain_shift import SQUARES, domain_shift, shifted
from erasekit.evaluate.naming import forgotten_singles, named_right, trained_concepts
from erasekit.models.zero_shot import concept_features

CONDITIONS = ["grey", "blurred", "line art", "checkerboard", "noise", "white", "black"]


@pytest.fixture(scope="module")
def kinds(tiny_experiment):
    singles = forgotten_singles(tiny_experiment.task, "test")
    return singles, shifted(tiny_experiment.world, singles, "test", 0)


def test_every_kind_is_a_picture_of_its_own(kinds) -> None:
    singles, found = kinds
    assert list(found) == CONDITIONS
    for images in found.values():
        assert images.shape == singles.images.shape
        assert images.dtype == torch.uint8
        assert (images != singles.images).flatten(1).any(1).all()


def test_grey_is_the_weighted_mean_of_the_colours(kinds) -> None:
    singles, found = kinds
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    expected = (singles.images.float() * weights).sum(1, keepdim=True)
    assert (found["grey"].float() - expected).abs().max() <= 1.05  # cut to bytes, not rounded


def test_blur_keeps_the_light_and_takes_the_contrast(kinds) -> None:
    singles, found = kinds
    plain, blurred = singles.images.float(), found["blurred"].float()
    assert blurred.mean() == pytest.approx(plain.mean().item(), rel=0.01)

    def step(images: torch.Tensor) -> float:
        return images.diff(dim=-1).abs().mean().item()

    assert 0.3 < step(blurred) / step(plain) < 0.9


def test_line_art_has_no_colour_on_white(kinds) -> None:
    _, found = kinds
    lines = found["line art"].float()
    assert (lines.amax(1) == lines.amin(1)).all()
    assert lines.median() == 255


@pytest.mark.parametrize("condition", ["checkerboard", "noise", "white", "black"])
def test_only_the_background_is_another(kinds, tiny_experiment, condition: str) -> None:
    """Where the drawing covers white and black alike, every background shows the same."""
    singles, found = kinds
    covered = (found["white"].int() - found["black"].int()).abs() <= 1
    assert 0.1 < covered.float().mean() < 0.9
    difference = (found[condition].int() - singles.images.int()).abs()
    assert difference[covered].max() <= 4
    bare = found["white"].int() - found["black"].int() == 255
    assert difference[bare].float().mean() > 10


def test_patterns_are_made_of_the_pictures_own_two_colours(kinds, tiny_experiment) -> None:
    singles, found = kinds
    samples = [tiny_experiment.world.samples("test")[p] for p in singles.positions]
    corner = found["checkerboard"].shape[-1] // SQUARES // 2
    for sample, board, noise, white, black in zip(
        samples,
        *(found[c].int().numpy() for c in ("checkerboard", "noise", "white", "black")),
        strict=True,
    ):
        low, high = (255 * sample.background.min(0), 255 * sample.background.max(0))
        bare = (white - black == 255).all(0)
        assert (noise[:, bare] >= low[:, None] - 1).all()
        assert (noise[:, bare] <= high[:, None] + 1).all()
        assert noise[:, bare].std() > 2
        if bare[corner, corner]:
            assert np.abs(board[:, corner, corner] - 255 * sample.background[0]).max() <= 1
            next_square = board[:, corner, corner + 2 * corner]
            if bare[corner, corner + 2 * corner]:
                assert np.abs(next_square - 255 * sample.background[1]).max() <= 1


def test_noise_is_the_seeds(tiny_experiment, kinds) -> None:
    singles, found = kinds
    again = shifted(tiny_experiment.world, singles, "test", 0)
    other = shifted(tiny_experiment.world, singles, "test", 1)
    assert all(torch.equal(again[c], found[c]) for c in CONDITIONS)
    assert not torch.equal(other["noise"], found["noise"])
    assert torch.equal(other["checkerboard"], found["checkerboard"])


def test_top1_of_forgotten_and_retained_by_hand(tiny_experiment) -> None:
    e = tiny_experiment
    result = domain_shift({"original": e.original}, e.task, draws=20, retain_pictures=2)
    found = {(m.metric, m.condition): m.estimate for m in result.measures}
    assert [c for metric, c in found if metric == "top1"] == CONDITIONS
    names = concept_features(e.original, trained_concepts(e.world))
    singles = e.world.pairs("test").singles
    for metric, concepts, n in (
        ("top1", e.task.forgotten, e.world.spec.held_out_pictures),
        ("retain_top1", e.task.retained, 2),
    ):
        rows = [i for c in concepts for i in np.flatnonzero(singles.labels() == c)[:n]]
        pairs = singles.take(sorted(rows))
        grey = shifted(e.world, pairs, "test", 0)["grey"]
        right = named_right(e.original.encode_images(grey), names, pairs.labels(), e.world.trained)
        assert found[metric, "grey"].value == pytest.approx(right.mean())
        assert found[metric, "grey"].n == len(pairs) == n * len(concepts)
    assert {(r["condition"], r["subset"]): r["top1"] for r in result.details} == {
        (condition, "forget" if metric == "top1" else "retain"): estimate.value
        for (metric, condition), estimate in found.items()
    }


@pytest.mark.slow
def test_the_original_knows_other_pictures_and_the_oracle_does_not(
    smoke_experiment, smoke_erasure
) -> None:
    models = {
        "original": smoke_experiment.original,
        "erased": smoke_erasure.model,
        "oracle": smoke_experiment.oracle,
    }
    result = domain_shift(models, smoke_experiment.task, draws=50)
    value = {(m.model, m.metric, m.condition): m.estimate.value for m in result.measures}
    for condition in ("blurred", "checkerboard", "noise", "white"):
        original = value["original", "top1", condition]
        assert original > value["oracle", "top1", condition] + 0.2
        assert original > value["erased", "top1", condition] + 0.2
        assert value["oracle", "retain_top1", condition] > 0.25
