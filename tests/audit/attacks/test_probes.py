"""Probes: layers against open_clip's own, accuracies against votes counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from erasekit.audit.attacks.probes import TEST, probes, wordings
from erasekit.data.drawn.captions import prompts
from erasekit.evaluate.naming import trained_singles


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (5, 3, 48, 48), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="module")
def result(models, tiny_experiment):
    return probes(models, tiny_experiment.task, draws=20)


def _value(result, model: str, metric: str, condition: str) -> float:
    (found,) = (
        m.estimate.value
        for m in result.measures
        if (m.model, m.metric, m.condition) == (model, metric, condition)
    )
    return found


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
