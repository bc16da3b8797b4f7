"""Compression: rounding and pruning by hand, and every model treated alike."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
import torch
from support import fingerprint
from torch import nn

from erasekit.audit.attacks.compression import (
    CONDITIONS,
    TEST,
    compression,
    prune_smallest,
    quantise,
)
from erasekit.audit.base import is_oracle
from erasekit.audit.seed_noise import committed
from erasekit.audit.verdict import CANNOT_TELL, judge
from erasekit.evaluate.naming import trained_singles
from erasekit.models.zero_shot import concept_features


def by(result) -> dict:
    return {(m.model, m.metric, m.condition): m for m in result.measures}


def vit() -> open_clip.CLIP:
    """A small CLIP of another kind, with a ViT for its image tower."""
    return open_clip.CLIP(
        embed_dim=16,
        vision_cfg={"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        text_cfg={"context_length": 8, "vocab_size": 50, "width": 32, "heads": 2, "layers": 1},
    ).eval()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_rounding_by_hand(bits: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 5), nn.Conv2d(3, 4, 2), nn.Embedding(6, 3))
    with torch.no_grad():
        model[0].weight[2] = 0  # a channel of zeros
    exact = {name: value.clone().numpy() for name, value in model.state_dict().items()}
    quantise(model, bits)
    most = 2 ** (bits - 1) - 1
    for name, value in model.state_dict().items():
        if value.ndim < 2:
            assert (value.numpy() == exact[name]).all()
            continue
        rows = exact[name].reshape(len(exact[name]), -1).astype(np.float64)
        step = np.abs(rows).max(1, keepdims=True) / most
        expected = np.round(np.divide(rows, step, out=np.zeros_like(rows), where=step > 0)) * step
        assert value.flatten(1).numpy() == pytest.approx(expected, abs=1e-6)
        assert max(len(row.unique()) for row in value.flatten(1)) <= 2 * most + 1
    assert (model.state_dict()["0.weight"][2] == 0).all()


def test_a_projection_has_its_outputs_in_columns() -> None:
    """A column a thousand times smaller keeps its own scale, and is not rounded away."""
    model = vit()
    for weight in (model.text_projection, model.visual.proj):
        with torch.no_grad():
            weight[:, 3] *= 1e-3
        before = weight.detach().clone()
        quantise(model, 8)
        step = before.abs().amax(0) / 127
        assert ((weight - before).abs() <= 0.51 * step).all()
        assert (weight[:, 3] != 0).float().mean() > 0.9


def test_rounding_again_changes_nothing_more(tiny_experiment) -> None:
    model = tiny_experiment.original.copy().model
    quantise(model, 4)
    once = {name: value.clone() for name, value in model.state_dict().items()}
    quantise(model, 4)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, once[name], msg=name)


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_pruning_takes_the_smallest_of_each_layer(tiny_experiment, share: float) -> None:
    model = tiny_experiment.original.copy().model
    exact = {name: value.clone() for name, value in model.state_dict().items()}
    prune_smallest(model, share)
    assert sorted(model.state_dict()) == sorted(exact)
    parameters = {name for name, value in model.named_parameters() if value.ndim > 1}
    assert len(parameters) > 20
    for name, value in model.state_dict().items():
        if name not in parameters:
            assert torch.equal(value, exact[name]), name
            continue
        gone = value == 0
        assert int(gone.sum()) == round(share * value.numel()), name
        assert exact[name][gone].abs().max() <= exact[name][~gone].abs().min(), name
        assert torch.equal(value[~gone], exact[name][~gone]), name


def test_another_architecture_is_compressed_too() -> None:
    torch.manual_seed(0)
    for condition, compress in CONDITIONS.items():
        model = vit()
        before = fingerprint(model)
        compress(model)
        moved = {name for name, value in fingerprint(model).items() if value != before[name]}
        matrices = {name for name, value in model.named_parameters() if value.ndim > 1}
        assert moved == (set() if condition == "as it is" else matrices)
        assert model.encode_image(torch.rand(2, 3, 32, 32)).isfinite().all()


def test_every_model_is_measured_under_every_condition(models, tiny_experiment) -> None:
    result = compression(models, tiny_experiment.task, draws=20)
    found = by(result)
    for metric in ("top1", "retain_top1"):
        assert {key for key in found if key[1] == metric} == {
            (model, metric, condition) for model in models for condition in CONDITIONS
        }
    assert len(result.details) == len(models) * len(CONDITIONS) * len(
        tiny_experiment.task.forgotten
    )
    assert all(
        list(r) == ["model", "condition", "concept", "top1", "similarity"] for r in result.details
    )


def test_as_it_is_by_hand(models, tiny_experiment) -> None:
    world, task, clip = tiny_experiment.world, tiny_experiment.task, models["erased"]
    result = compression(models, task, draws=5, retain_pictures=2)
    names = concept_features(clip, [world.concept(i) for i in world.trained]).numpy()
    pairs = trained_singles(world)
    answer = (clip.encode_images(pairs.images).numpy() @ names.T).argmax(1)
    right = np.array(world.trained)[answer] == pairs.labels()
    forget = np.isin(pairs.labels(), task.forgotten)
    kept = [row for c in task.retained for row in np.flatnonzero(pairs.labels() == c)[:2]]
    found = by(result)
    assert found["erased", "top1", "as it is"].estimate.value == pytest.approx(right[forget].mean())
    assert found["erased", "retain_top1", "as it is"].estimate.value == pytest.approx(
        right[kept].mean()
    )
    for record in result.details:
        if (record["model"], record["condition"]) == ("erased", "as it is"):
            own = pairs.labels() == [
                i for i in task.forgotten if world.concept(i).name == record["concept"]
            ]
            assert record["top1"] == pytest.approx(right[own].mean())


def test_where_the_original_only_guesses_nothing_can_be_told(models, tiny_experiment) -> None:
    """The tiny models have learnt nothing, so that every condition finds the original guessing."""
    result = compression(models, tiny_experiment.task, draws=20)
    found = by(result)
    broken = {
        condition
        for condition in CONDITIONS
        if found["original", "top1", condition].estimate.interval[0] <= 1 / 8
    }
    assert broken
    for condition in broken:
        assert ("erased", "similarity", condition) not in found
        assert any(f"“{condition}”" in note for note in result.notes)
        own = found["erased", "top1", condition]
        verdict = judge(
            own.estimate,
            [found["oracle", "top1", condition].estimate] * 2,
            TEST.metric("top1").sense,
            metric="compression/top1",
            calibration=committed(),
            chance=own.chance,
            original=found["original", "top1", condition].estimate,
        )
        assert verdict.word == CANNOT_TELL


def test_an_original_alone_is_enough(tiny_experiment) -> None:
    result = compression({"original": tiny_experiment.original}, tiny_experiment.task, draws=5)
    assert {m.model for m in result.measures} == {"original"}


@pytest.mark.slow
def test_the_original_keeps_what_it_knows_in_8_bits(smoke_experiment, smoke_erasure) -> None:
    e = smoke_experiment
    models = {"original": e.original, "erased": smoke_erasure.model, "oracle": e.oracle}
    result = compression(models, e.task, draws=100)
    found = by(result)
    for condition in ("as it is", "int8", "int4"):
        original = found["original", "top1", condition].estimate
        assert original.interval[0] > 1 / 16
        assert found["oracle", "top1", condition].estimate.value < original.value - 0.3
        assert ("original", "similarity", condition) in found
    kept = found["original", "top1", "as it is"].estimate.value
    assert found["original", "top1", "int8"].estimate.value == pytest.approx(kept, abs=0.1)
    assert {m.model for m in result.measures if is_oracle(m.model)} == {"oracle"}
