"""One picture: against a search by hand, and on models whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from erasekit.audit.attacks.one_picture import nearest_is_own, one_picture
from erasekit.evaluate.naming import trained_singles


def _values(result) -> dict[tuple[str, str], float]:
    return {(m.model, m.metric): m.estimate.value for m in result.measures}


def test_the_nearest_example_is_found_as_by_hand():
    pictures = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    examples = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    found = nearest_is_own(pictures, examples, np.array([7, 9]), np.array([7, 9, 7]))
    # In the first repeat the third picture is taken for 9, in the second all but it are wrong.
    assert found.tolist() == [0.5, 0.5, 0.5]


def test_all_three_shares_are_counted_as_by_hand(models, tiny_experiment):
    e = tiny_experiment
    taught, asked = trained_singles(e.world, "train"), trained_singles(e.world, "test")
    found = _values(one_picture(models, e.task, draws=20, repeats=2))
    clip = models["erased"]
    known, new = (clip.encode_images(pairs.images).numpy() for pairs in (taught, asked))
    turns: dict[str, list[float]] = {"told_apart": [], "recognised": []}
    for turn in range(2):
        example = {i: known[np.flatnonzero(taught.labels() == i)[turn]] for i in e.world.trained}
        for label, feature in zip(asked.labels(), new, strict=True):
            if label not in e.task.forgotten:
                continue
            for metric, among in (
                ("told_apart", e.task.forgotten),
                ("recognised", e.world.trained),
            ):
                nearest = max(among, key=lambda i: float(example[i] @ feature))
                turns[metric].append(nearest == label)
    for metric, right in turns.items():
        assert found["erased", metric] == pytest.approx(np.mean(right))
    labels, right = asked.labels(), []
    for place in np.flatnonzero(np.isin(labels, e.task.forgotten)):
        others = [other for other in range(len(new)) if other != place]
        nearest = max(others, key=lambda other: float(new[other] @ new[place]))
        right.append(labels[nearest] == labels[place])
    assert found["erased", "found"] == pytest.approx(np.mean(right))


def test_with_one_forgotten_concept_there_is_nothing_to_tell_apart(tiny_experiment):
    e = tiny_experiment
    alone = type(e.task)(e.world, e.task.forgotten_concepts[0].name)
    result = one_picture({"original": e.original}, alone, draws=20)
    assert {m.metric for m in result.measures} == {"recognised", "found"}
    assert "nothing to tell it apart from" in result.notes[0]


@pytest.mark.slow
def test_an_original_knows_its_pictures_better_than_an_oracle(smoke_experiment):
    e = smoke_experiment
    models = {"original": e.original, "oracle": e.oracle}
    found = _values(one_picture(models, e.task, draws=20))
    for metric in ("told_apart", "recognised"):
        assert found["original", metric] > found["oracle", metric] + 0.1
