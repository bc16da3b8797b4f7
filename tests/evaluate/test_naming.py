"""What a model calls a picture, and how far it moved, against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import unit

from erasekit.evaluate.naming import (
    best_names,
    by_concept,
    forgotten_singles,
    named_right,
    naming_table,
    top1_by_language,
    trained_singles,
)
from erasekit.evaluate.shift import former_self
from erasekit.models.zero_shot import concept_features


@pytest.fixture(scope="module")
def parts(tiny_experiment):
    e = tiny_experiment
    pairs = trained_singles(e.world)
    images = e.original.encode_images(pairs.images).numpy()
    names = {
        language: concept_features(
            e.original, [e.world.concept(i) for i in e.world.trained], language
        ).numpy()
        for language in e.world.spec.languages
    }
    return e, pairs, images, names


def test_trained_singles_show_one_trained_concept_each(parts):
    e, pairs, *_ = parts
    assert len(pairs) == len(e.world.trained) * e.world.spec.held_out_pictures
    assert all(len(c) == 1 and c[0] in e.world.trained for c in pairs.concepts)


def test_best_names_are_the_most_similar_in_order(parts):
    e, pairs, images, names = parts
    similarity = images @ names["en"].T
    for row, answers in enumerate(best_names(e.original, e.world, pairs, 3)):
        best = np.argsort(-similarity[row])[:3]
        assert [name for name, _ in answers] == [
            e.world.concept(e.world.trained[i]).name for i in best
        ]
        np.testing.assert_allclose([v for _, v in answers], similarity[row, best], atol=1e-5)


def test_top1_by_language_counts_the_right_names(parts):
    e, pairs, images, names = parts
    found = top1_by_language(e.original, e.world)
    assert list(found.index) == list(e.world.spec.languages)
    for language, value in found.items():
        said = np.array(e.world.trained)[(images @ names[language].T).argmax(1)]
        assert value == pytest.approx((said == pairs.labels()).mean())


def test_naming_table_gives_the_commonest_answer_and_its_share(parts):
    e, pairs, images, names = parts
    said = np.array(e.world.trained)[(images @ names["en"].T).argmax(1)]
    table = naming_table(e.original, e.world, e.task.forgotten)
    assert list(table.index) == [c.name for c in e.task.forgotten_concepts]
    for index in e.task.forgotten:
        answers = said[pairs.labels() == index]
        line = table.loc[e.world.concept(index).name]
        counts = {e.world.concept(int(i)).name: (answers == i).sum() for i in set(answers)}
        assert line["pictures"] == len(answers)
        assert counts[line["called most often"]] == max(counts.values())
        assert line["share"] == pytest.approx(max(counts.values()) / len(answers))


def test_an_unchanged_model_agrees_with_its_former_self(tiny_experiment):
    e = tiny_experiment
    found = former_self(e.original, e.original, e.task)
    np.testing.assert_allclose(found.to_numpy(), 1, atol=1e-5)


def test_former_self_is_the_mean_cosine_of_each_kind(parts, tiny_erasure):
    e, pairs, images, names = parts
    after = tiny_erasure.model
    found = former_self(e.original, after, e.task)
    kept = (images * after.encode_images(pairs.images).numpy()).sum(1)
    gone = [label in e.task.forgotten for label in pairs.labels()]
    assert found.loc["pictures", "forgotten"] == pytest.approx(kept[gone].mean(), abs=1e-5)
    concepts = [e.world.concept(i) for i in e.world.trained]
    kept = (names["en"] * concept_features(after, concepts).numpy()).sum(1)
    stays = [i not in e.task.forgotten for i in e.world.trained]
    assert found.loc["names", "retained"] == pytest.approx(kept[stays].mean(), abs=1e-5)


def test_forgotten_singles_show_one_forgotten_concept(tiny_experiment):
    task = tiny_experiment.task
    pairs = forgotten_singles(task, "test")
    assert len(pairs) == len(task.forgotten) * task.world.spec.held_out_pictures
    assert set(pairs.concepts) == {(index,) for index in task.forgotten}


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
