"""Downstream: the original's classifier and index, against nearest pictures found by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from support import fingerprint

from erasekit.audit.attacks.downstream import TEST, downstream
from erasekit.evaluate.naming import trained_singles
from erasekit.evaluate.subsets import neighbours

SUBSETS = ("forget", "neighbours", "retain")


@pytest.fixture(scope="module")
def result(models, tiny_experiment):
    return downstream(models, tiny_experiment.task, draws=20)


def _values(result) -> dict[tuple[str, str, str], float]:
    return {(m.model, m.metric, m.condition): m.estimate.value for m in result.measures}


def _parts(e, clip):
    """Training pictures by the original, asked pictures by `clip`, and the labels of both."""
    built_on, asked = trained_singles(e.world, "train"), trained_singles(e.world, "test")
    index = e.original.encode_images(built_on.images).numpy()
    own = clip.encode_images(asked.images).numpy()
    return index, built_on.labels(), own, asked.labels()


def _rows(e, subset: str, labels: np.ndarray) -> np.ndarray:
    concepts = {
        "forget": e.task.forgotten,
        "neighbours": neighbours(e.original, e.task),
        "retain": e.task.retained,
    }
    return np.isin(labels, concepts[subset])


def test_the_index_is_asked_for_the_nearest_picture(tiny_experiment, tiny_erasure, result):
    e = tiny_experiment
    index, known, own, labels = _parts(e, tiny_erasure.model)
    right = known[((own[:, None] - index[None]) ** 2).sum(2).argmin(1)] == labels
    for subset in SUBSETS:
        expected = right[_rows(e, subset, labels)].mean()
        assert _values(result)["erased", "index", subset] == pytest.approx(expected)


def test_the_classifier_is_the_originals(tiny_experiment, tiny_erasure, result):
    e = tiny_experiment
    index, known, own, labels = _parts(e, tiny_erasure.model)
    mean, deviation = index.mean(0), index.std(0)
    classifier = LogisticRegression(max_iter=1000).fit((index - mean) / deviation, known)
    right = classifier.predict((own - mean) / deviation) == labels
    for subset in SUBSETS:
        rows = _rows(e, subset, labels)
        found = _values(result)["erased", "classifier", subset]
        assert found == pytest.approx(right[rows].mean(), abs=1.01 / rows.sum())


def test_a_turned_feature_space_breaks_what_was_built_and_nothing_else(tiny_experiment):
    e = tiny_experiment
    turned = e.original.copy()
    with torch.no_grad():
        turned.model.visual.attnpool.c_proj.weight.neg_()
        turned.model.visual.attnpool.c_proj.bias.neg_()
    found = _values(downstream({"original": e.original, "erased": turned}, e.task, draws=5))
    for subset in ("neighbours", "retain"):
        assert found["erased", "rebuilt", subset] == found["original", "rebuilt", subset]
    index, known, own, labels = _parts(e, e.original)
    farthest = known[(own @ index.T).argmin(1)] == labels
    for subset in SUBSETS:
        expected = farthest[_rows(e, subset, labels)].mean()
        assert found["erased", "index", subset] == pytest.approx(expected)
    assert found["erased", "classifier", "retain"] < found["original", "classifier", "retain"]


def test_the_originals_own_classifier_is_the_rebuilt_one(result):
    found = _values(result)
    for subset in ("neighbours", "retain"):
        assert found["original", "classifier", subset] == found["original", "rebuilt", subset]


def test_oracles_are_only_measured_anew_and_a_note_says_why(tiny_experiment, result):
    assert {m.metric for m in result.measures if m.model == "oracle"} == {"rebuilt"}
    assert {m.metric for m in result.measures if m.model == "erased"} == {
        metric.name for metric in TEST.metrics
    }
    assert len(result.notes) == 1
    e = tiny_experiment
    alone = downstream({"original": e.original}, e.task, draws=5)
    assert alone.notes == []
    assert {m.model for m in alone.measures} == {"original"}


def test_details_repeat_the_measures(result):
    rows = [
        {
            "measure": m.metric,
            "model": m.model,
            "subset": m.condition,
            "value": m.estimate.value,
            "low": m.estimate.interval[0],
            "high": m.estimate.interval[1],
        }
        for m in result.measures
    ]
    assert result.details == rows
    forget = {row["measure"] for row in rows if row["subset"] == "forget"}
    assert forget == {"classifier", "index"}


def test_equal_models_give_equal_measures_and_stay_as_they_are(tiny_experiment, result):
    e = tiny_experiment
    before = fingerprint(e.original.model)
    again = downstream({"original": e.original, "erased": e.original.copy()}, e.task, draws=20)
    assert fingerprint(e.original.model) == before
    assert not e.original.model.training
    first = {(m.metric, m.condition): m for m in result.measures if m.model == "original"}
    assert len(again.measures) == 2 * len(first)
    for measure in again.measures:
        kept = first[measure.metric, measure.condition].estimate
        assert measure.estimate.value == kept.value
        np.testing.assert_array_equal(measure.estimate.replicates, kept.replicates)


@pytest.mark.slow
def test_an_erasure_breaks_what_was_built_for_the_forgotten_most(smoke_experiment, smoke_erasure):
    e = smoke_experiment
    models = {"original": e.original, "erased": smoke_erasure.model, "oracle": e.oracle}
    found = _values(downstream(models, e.task, draws=100, **TEST.smoke))
    for metric in ("classifier", "index"):
        lost = {
            subset: found["original", metric, subset] - found["erased", metric, subset]
            for subset in SUBSETS
        }
        assert lost["forget"] > 0.3
        assert lost["retain"] < lost["forget"] / 2
    assert found["erased", "rebuilt", "retain"] > found["erased", "classifier", "retain"]
