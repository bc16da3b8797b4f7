"""Retrieval gallery: the nearest are found, and exactly the right ones marked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from support_plots import own_similarity

from erasekit.data.drawn.captions import prompts
from erasekit.errors import UsageError
from erasekit.plots.gallery import retrieval_gallery_data


def test_gallery_finds_the_nearest_and_marks_exactly_the_right_ones(tiny_experiment, models):
    e = tiny_experiment
    data = retrieval_gallery_data(e, models["original"], models["erased"], queries=3)
    pool = e.world.pairs("test").singles.where(lambda c: c[0] in set(e.world.trained))
    assert list(data.groupby(["query", "when"], sort=False).size()) == [5] * 6
    for line in data.itertuples():
        assert line.right == (pool.concepts[line.row][0] == line.query)
        assert line.shows == e.world.concept(pool.concepts[line.row][0]).name
        assert line.forgotten == (line.query in e.task.forgotten)
    query = int(data["query"].iloc[0])
    expected = [own_similarity(e, models["erased"], query, image) for image in pool.images]
    found = data[(data["query"] == query) & (data["when"] == "after")]
    assert list(found["similarity"]) == pytest.approx(sorted(expected)[::-1][:5], abs=1e-4)
    assert [expected[row] for row in found["row"]] == pytest.approx(
        list(found["similarity"]), abs=1e-4
    )


def test_gallery_asks_for_forgotten_ones_and_a_neighbour(tiny_experiment, tiny_scorecard, models):
    e = tiny_experiment
    data = retrieval_gallery_data(e, models["original"], models["erased"], queries=3)
    asked = list(dict.fromkeys(data["name"]))
    assert asked[:2] == [c.name for c in e.task.forgotten_concepts[:2]]
    assert asked[2] in tiny_scorecard.task["neighbours"]
    named = retrieval_gallery_data(e, models["original"], models["erased"], queries=[asked[2]])
    assert set(named["name"]) == {asked[2]}
    with pytest.raises(UsageError, match="unknown"):
        retrieval_gallery_data(e, models["original"], models["erased"], queries=["appel"])


def test_gallery_frames_follow_the_data(tiny_experiment, models):
    """With names for features, each query must find its own pictures, and only those count."""
    e = tiny_experiment
    world = e.world
    trained = list(world.trained)
    eye = torch.eye(len(world.concepts))
    labels = {}
    singles = world.pairs("test").singles
    for image, concepts in zip(singles.images, singles.concepts, strict=True):
        labels[image.numpy().tobytes()] = concepts[0]
    index_of = {text: c.index for c in world.concepts for text in prompts(c)}
    perfect = SimpleNamespace(
        encode_images=lambda images: torch.stack(
            [eye[labels[image.numpy().tobytes()]] for image in images]
        ),
        encode_texts=lambda texts: torch.stack([eye[index_of[text]] for text in texts]),
    )
    wrong = SimpleNamespace(
        encode_images=perfect.encode_images,
        encode_texts=lambda texts: torch.stack(
            [eye[trained[(index_of[text] + 1) % len(trained)]] for text in texts]
        ),
    )
    data = retrieval_gallery_data(e, perfect, wrong, queries=[world.concept(0).name])
    held = len(singles.where(lambda c: c[0] == 0))
    before = data[data["when"] == "before"]
    assert list(before["right"]) == [rank <= held for rank in before["rank"]]
    assert not data.loc[(data["when"] == "after") & (data["rank"] <= held), "right"].any()
