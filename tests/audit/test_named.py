"""The zero-shot tests of the audit: what all of them promise, and the helpers they share."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from support import fingerprint, unit

from erasekit.audit.attacks import (
    composition_leaks,
    domain_shift,
    language_leaks,
    over_forgetting,
    prompt_leaks,
)
from erasekit.audit.base import AuditTest, Measure
from erasekit.audit.named import by_concept, forgotten_singles, named_right, text_features
from erasekit.errors import UsageError

TESTS = [
    module.TEST
    for module in (
        prompt_leaks,
        language_leaks,
        composition_leaks,
        domain_shift,
        over_forgetting,
    )
]
DRAWS = 20


@pytest.fixture(params=TESTS, ids=lambda test: test.name)
def audit_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AuditTest:
    # The tiny models know nothing: without this, no language would be asked about.
    monkeypatch.setattr("erasekit.audit.attacks.language_leaks.KNOWN", 0.0)
    return request.param


@pytest.fixture(scope="module")
def models(tiny_experiment, tiny_erasure):
    return {
        "original": tiny_experiment.original,
        "erased": tiny_erasure.model,
        "oracle": tiny_experiment.oracle,
    }


def numbers(measures: list[Measure]) -> list[tuple]:
    return [
        (m.metric, m.condition, m.estimate.value, m.estimate.n, m.estimate.replicates.tolist())
        for m in measures
    ]


def test_every_measure_is_made_of_every_model_on_the_same_pictures(
    audit_test, models, tiny_experiment
):
    result = audit_test.run(models, tiny_experiment.task, draws=DRAWS)
    declared = {metric.name: metric for metric in audit_test.metrics}
    assert {m.metric for m in result.measures} == set(declared)
    kinds = {(m.metric, m.condition) for m in result.measures}
    assert len(result.measures) == len(kinds) * len(models)
    for kind in kinds:
        of = {m.model: m for m in result.measures if (m.metric, m.condition) == kind}
        assert list(of) == list(models)
        assert len({m.estimate.n for m in of.values()}) == 1
        assert len({m.chance for m in of.values()}) == 1
    for m in result.measures:
        metric = declared[m.metric]
        low = -1 if metric.unit == "cosine" else 0
        assert low - 1e-6 <= m.estimate.value <= 1 + 1e-6
        assert m.estimate.replicates.shape == (DRAWS,)
        assert not metric.if_original_knows or 0 < m.chance < 1
    assert json.loads(json.dumps(result.details)) == result.details
    assert len(result.details) > 0


def test_equal_models_give_equal_measures(audit_test, models, tiny_experiment):
    pair = {"original": models["original"], "erased": models["original"].copy()}
    result = audit_test.run(pair, tiny_experiment.task, draws=DRAWS)
    of = {name: [m for m in result.measures if m.model == name] for name in pair}
    assert numbers(of["original"]) == numbers(of["erased"]) != []


def test_a_second_run_is_the_same_and_no_model_is_changed(audit_test, models, tiny_experiment):
    before = {name: fingerprint(clip.model) for name, clip in models.items()}
    first, second = (
        audit_test.run(models, tiny_experiment.task, draws=DRAWS, seed=3) for _ in range(2)
    )
    assert numbers(first.measures) == numbers(second.measures)
    assert (first.details, first.notes) == (second.details, second.notes)
    assert {name: fingerprint(clip.model) for name, clip in models.items()} == before
    assert not any(clip.model.training for clip in models.values())


def test_a_models_numbers_do_not_depend_on_which_others_are_there(
    audit_test, models, tiny_experiment
):
    whole = audit_test.run(models, tiny_experiment.task, draws=DRAWS)
    alone = audit_test.run({"original": models["original"]}, tiny_experiment.task, draws=DRAWS)
    assert alone.measures
    beside = numbers([m for m in whole.measures if m.model == "original"])
    # Without a model under audit, nobody can have lost most.
    assert numbers(alone.measures) == [n for n in beside if n[0] != "collateral_top1"]


def test_the_split_is_the_one_asked_for(audit_test, models, tiny_experiment):
    pair = {"original": models["original"]}
    on_test, on_validation = (
        audit_test.run(pair, tiny_experiment.task, split=split, draws=DRAWS)
        for split in ("test", "validation")
    )
    assert numbers(on_test.measures) != numbers(on_validation.measures)
    with pytest.raises(UsageError, match="unknown split 'trian'"):
        audit_test.run(pair, tiny_experiment.task, split="trian", draws=DRAWS)


def test_forgotten_singles_show_one_forgotten_concept(tiny_experiment):
    task = tiny_experiment.task
    pairs = forgotten_singles(task, "test")
    assert len(pairs) == len(task.forgotten) * task.world.spec.held_out_pictures
    assert set(pairs.concepts) == {(index,) for index in task.forgotten}


def test_a_feature_is_the_normalised_mean_of_its_texts(tiny_experiment):
    clip = tiny_experiment.original
    groups = [["a red apple", "a banana", "grapes"], ["a parrot"]]
    found = text_features(clip, groups).numpy()
    for row, texts in zip(found, groups, strict=True):
        mean = clip.encode_texts(texts).numpy().mean(0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-6)


def test_named_right_counts_the_nearest_name_by_the_candidates_own_order():
    names, pictures = unit(4, 6, 0), unit(30, 6, 1)
    candidates = [7, 2, 9, 4]
    labels = np.random.default_rng(0).choice(candidates, 30)
    said = np.array(candidates)[(pictures @ names.T).argmax(1).numpy()]
    found = named_right(pictures, names, labels, candidates)
    assert found.tolist() == (said == labels).astype(float).tolist()
    assert 0 < found.mean() < 1
    turned = named_right(pictures, names[torch.tensor([2, 0, 3, 1])], labels, [9, 7, 4, 2])
    assert turned.tolist() == found.tolist()


def test_the_mean_of_each_concept():
    assert by_concept(np.array([1.0, 0, 1, 1]), np.array([5, 2, 5, 2])) == {2: 0.5, 5: 1.0}
    assert by_concept(np.array([]), np.array([])) == {}
