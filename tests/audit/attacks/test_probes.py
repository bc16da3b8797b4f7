"""Probes: layers against open_clip's own, accuracies against votes counted by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from support import fingerprint
from torch import nn

from erasekit.audit.attacks.probes import (
    TEST,
    first_of_each,
    fit_linear,
    image_layers,
    probes,
    text_layers,
    wordings,
)
from erasekit.data.drawn.captions import prompts
from erasekit.evaluate.naming import trained_singles
from erasekit.models.clip import MEAN, STD, Clip

VISION = {"image_size": 48, "layers": 6, "width": 32, "head_width": 16, "patch_size": 16}
TEXT = {"context_length": 6, "vocab_size": 50, "width": 32, "heads": 2, "layers": 2}


def _tokenize(texts: list[str]) -> torch.Tensor:
    """Six ids from 1 to 48 a text, with the end-of-text id 49 at another place in each."""
    ids = [[1 + (7 * i + sum(map(ord, text))) % 48 for i in range(6)] for text in texts]
    for row, text in enumerate(texts):
        ids[row][2 + len(text) % 4] = 49
    return torch.tensor(ids)


@pytest.fixture(scope="module", params=[open_clip.CLIP, open_clip.CustomTextCLIP])
def transformer(request) -> Clip:
    """A CLIP of open_clip's transformers, of either class, with random weights."""
    torch.manual_seed(0)
    model = request.param(16, VISION, TEXT).eval().requires_grad_(False)
    return Clip(model, _tokenize, Path(), MEAN, STD)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (5, 3, 48, 48), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def result(tiny_experiment, tiny_erasure):
    e = tiny_experiment
    models = {"original": e.original, "erased": tiny_erasure.model, "oracle": e.oracle}
    return probes(models, e.task, draws=20)


def _value(result, model: str, metric: str, condition: str) -> float:
    (found,) = (
        m.estimate.value
        for m in result.measures
        if (m.model, m.metric, m.condition) == (model, metric, condition)
    )
    return found


def test_a_resnet_is_read_stage_by_stage(tiny_experiment, images):
    clip = tiny_experiment.original
    found = image_layers(clip, images, batch=2)
    assert list(found) == ["layer1", "layer2", "layer3", "layer4", "output"]
    tower = clip.model.visual
    state = tower.stem(clip.preprocess(images))
    for name in list(found)[:-1]:
        state = getattr(tower, name)(state)
        np.testing.assert_allclose(found[name], state.mean((2, 3)), atol=1e-5)
    np.testing.assert_allclose(found["output"], clip.encode_images(images), atol=1e-5)


def test_some_blocks_of_a_vision_transformer_are_read(transformer, images):
    found = image_layers(transformer, images, batch=2)
    assert list(found) == ["block2", "block3", "block4", "block6", "output"]
    own = transformer.model.forward_intermediates(
        image=transformer.preprocess(images), image_output_fmt="NLC", image_output_extra_tokens=True
    )
    for name in list(found)[:-1]:
        block = int(name.removeprefix("block")) - 1
        tokens = torch.cat(
            [own["image_intermediates_prefix"][block], own["image_intermediates"][block]], dim=1
        )
        np.testing.assert_allclose(found[name], tokens.mean(1), atol=1e-5)
    np.testing.assert_allclose(found["output"], own["image_features"], atol=1e-5)


def test_text_is_read_where_the_tower_pools(transformer):
    texts = ["a", "bc", "def", "ghij", "klmno"]
    found = text_layers(transformer, texts, batch=2)
    assert list(found) == ["block1", "block2", "output"]
    tokens = _tokenize(texts)
    own = transformer.model.forward_intermediates(text=tokens)
    ends = [row.index(49) for row in tokens.tolist()]
    for block, name in enumerate(("block1", "block2")):
        expected = own["text_intermediates"][block][range(5), ends]
        np.testing.assert_allclose(found[name], expected, atol=1e-5)
    np.testing.assert_allclose(found["output"], own["text_features"], atol=1e-5)


class _Bag(nn.Module):
    """A text tower of no kind that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.embedding(tokens).mean(1)


def test_of_an_unknown_tower_only_the_output_is_read(tiny_experiment, images):
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(16, VISION, TEXT)
    model.visual, model.text = nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 16)), _Bag()
    clip = Clip(model.eval().requires_grad_(False), _tokenize, Path(), MEAN, STD)
    assert list(image_layers(clip, images)) == ["output"]
    assert list(text_layers(clip, ["a", "b"])) == ["output"]
    found = probes({"original": clip}, tiny_experiment.task, draws=5)
    assert {m.condition for m in found.measures} == {"output"}
    assert ["image" in note for note in found.notes] == [True, False]


def test_no_hook_is_left_behind(tiny_experiment, images):
    clip = tiny_experiment.original
    image_layers(clip, images)
    text_layers(clip, ["a banana"])
    assert not any(module._forward_hooks for module in clip.model.modules())


def test_half_of_the_templates_are_never_fitted(tiny_experiment):
    world = tiny_experiment.world
    fitted, asked = wordings(world)
    assert not set(fitted) & set(asked)
    for part in (fitted, asked):
        assert set(part.values()) == set(world.trained)
    first = world.concept(world.trained[0])
    english = prompts(first, "en")
    assert [text in fitted for text in english] == [True, False] * 3
    assert first.descriptions[0] in fitted
    assert first.descriptions[1] in asked
    told = {text for language in world.spec.languages for text in prompts(first, language)}
    told |= set(first.descriptions)
    assert {t for part in (fitted, asked) for t, c in part.items() if c == first.index} == told


def test_the_first_of_each_label_are_taken(tiny_experiment):
    pairs = tiny_experiment.world.pairs("train").singles
    taken = first_of_each(pairs, 2)
    labels = pairs.labels().tolist()
    expected = [i for i, label in enumerate(labels) if labels[:i].count(label) < 2]
    assert taken.positions.tolist() == pairs.positions[expected].tolist()


def test_the_linear_probe_is_logistic_regression_on_standardised_features():
    rng = np.random.default_rng(0)
    labels = np.repeat([3, 5, 8], 20)
    features = rng.normal(size=(60, 4)) * [1, 10, 100, 1] + labels[:, None]
    plain = (features - features.mean(0)) / features.std(0)
    expected = LogisticRegression(C=1.0, max_iter=1000).fit(plain, labels).predict_proba(plain)
    found = fit_linear(features, labels).predict_proba(features)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_nearest_vote_is_as_counted_by_hand(tiny_experiment, result):
    e = tiny_experiment
    fitted = trained_singles(e.world, "train")  # the tiny world has fewer than `pictures` each
    asked = trained_singles(e.world, "test")
    known = e.oracle.encode_images(fitted.images).double().numpy()
    shown = e.oracle.encode_images(asked.images).double().numpy()
    right = []
    for feature, label in zip(shown, asked.labels(), strict=True):
        votes = fitted.labels()[np.argsort(-(known @ feature))[:5]]
        names, counts = np.unique(votes, return_counts=True)
        right.append(names[counts.argmax()] == label)
    forgotten = np.isin(asked.labels(), e.task.forgotten)
    assert _value(result, "oracle", "knn_image", "output") == np.mean(np.array(right)[forgotten])
    retained = [
        row["accuracy"]
        for row in result.details
        if (row["model"], row["subset"], row["probe"]) == ("oracle", "retain", "knn")
        and row["layer"] == "output"
    ]
    assert retained == [np.mean(np.array(right)[~forgotten])]


def test_every_model_is_measured_alike_with_every_probe(tiny_experiment, result):
    conditions = {
        (model, metric): [
            m.condition for m in result.measures if (m.model, m.metric) == (model, metric)
        ]
        for model in ("original", "erased", "oracle")
        for metric in (metric.name for metric in TEST.metrics)
    }
    image = ["layer1", "layer2", "layer3", "layer4", "output"]
    for (_, metric), found in conditions.items():
        assert found == (["block1", "block2", "output"] if metric == "linear_text" else image)
    assert len(result.measures) == sum(map(len, conditions.values()))
    assert {m.chance for m in result.measures} == {1 / len(tiny_experiment.world.trained)}
    assert len(result.details) == 2 * len(result.measures)


def test_details_of_the_forgotten_are_the_measures(result):
    for row in result.details:
        if row["subset"] == "forget":
            metric = f"{row['probe']}_{row['tower']}"
            assert row["accuracy"] == _value(result, row["model"], metric, row["layer"])


def test_equal_models_give_equal_measures_again_and_again(tiny_experiment, result):
    e = tiny_experiment
    again = probes({"original": e.original, "erased": e.original.copy()}, e.task, draws=20)
    for measure in again.measures:
        (first,) = (
            m
            for m in result.measures
            if dataclasses.astuple(m)[:3] == ("original", measure.metric, measure.condition)
        )
        assert measure.estimate.value == first.estimate.value
        np.testing.assert_array_equal(measure.estimate.replicates, first.estimate.replicates)


def test_models_stay_as_they_are(tiny_experiment):
    clip = tiny_experiment.original
    before = fingerprint(clip.model)
    probes({"original": clip}, tiny_experiment.task, draws=5, pictures=2)
    assert fingerprint(clip.model) == before
    assert not clip.model.training


@pytest.mark.slow
def test_the_original_is_read_better_than_the_oracles(smoke_experiment, smoke_erasure):
    e = smoke_experiment
    oracles = dict(zip(("oracle", "oracle-1", "oracle-2"), e.oracles(3), strict=True))
    models = {"original": e.original, "erased": smoke_erasure.model, **oracles}
    result = probes(models, e.task, draws=100, **TEST.smoke)
    for metric in ("linear_image", "knn_image", "linear_text"):
        original = _value(result, "original", metric, "output")
        assert original > 0.6
        assert original > np.mean([_value(result, name, metric, "output") for name in oracles])
    # What an erasure leaves: the answers are gone, the features are not.
    assert _value(result, "erased", "knn_image", "output") > np.mean(
        [_value(result, name, "knn_image", "output") for name in oracles]
    )
