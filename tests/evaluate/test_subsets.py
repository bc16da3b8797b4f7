"""Subsets: who the neighbours are, and which scenes are asked."""

from __future__ import annotations

import numpy as np
import pytest

from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.world import World
from erasekit.data.task import ErasureTask
from erasekit.evaluate.subsets import concept_groups, distinct_scenes, make_subsets, neighbours
from erasekit.models.zero_shot import concept_features


@pytest.fixture(scope="module")
def larger(tiny_experiment):
    """The tiny experiment's model with a task that retains enough to have five neighbours."""
    task = ErasureTask(World(WorldSpec(concepts=16)), "red apple,banana")
    return tiny_experiment.original, task


def test_neighbours_are_the_nearest_retained_by_the_originals_words(larger) -> None:
    clip, task = larger
    found = neighbours(clip, task)
    names = concept_features(clip, task.world.concepts).numpy()
    nearness = {i: max(float(names[i] @ names[f]) for f in task.forgotten) for i in task.retained}
    expected = sorted(nearness, key=lambda i: -nearness[i])[:5]
    assert set(found) == set(expected)
    assert set(found) <= set(task.retained)
    assert neighbours(clip, task, 2) == tuple(sorted(expected[:2]))


def test_at_most_half_of_the_retained_are_neighbours(larger) -> None:
    clip, task = larger
    names = [task.world.concept(i).name for i in task.world.trained]
    few = ErasureTask(task.world, names[5:])
    assert len(neighbours(clip, few)) == 2


def test_subsets_name_the_right_pictures(tiny_experiment) -> None:
    task = tiny_experiment.task
    subsets = make_subsets(tiny_experiment.original, task, "validation")
    assert set(subsets.concepts) == {"forget", "neighbours", "retain", "holdout"}
    assert set(subsets.concepts["neighbours"]) < set(subsets.concepts["retain"])
    assert subsets.concepts["holdout"] == task.world.holdout
    labels = subsets.singles.labels()
    assert all(len(c) == 1 for c in subsets.singles.concepts)
    for subset, concepts in subsets.concepts.items():
        rows = subsets.rows(subset)
        assert set(labels[rows]) == set(concepts)
        assert len(rows) == int(np.isin(labels, concepts).sum())


def test_scenes_asked_for_have_one_right_answer(tiny_experiment) -> None:
    scenes = tiny_experiment.world.pairs("test").scenes
    chosen = distinct_scenes(scenes, 20)
    kinds = [frozenset(c) for c in chosen.concepts]
    assert len(kinds) == len(set(kinds)) == 20
    assert len({frozenset(c) for c in scenes.concepts}) < len(scenes)  # there was a choice
    assert chosen.positions[0] == scenes.positions[0]
    everything = distinct_scenes(scenes, 10_000)
    assert {frozenset(c) for c in everything.concepts} == {frozenset(c) for c in scenes.concepts}


def test_a_scene_is_grouped_by_its_first_concept() -> None:
    assert concept_groups([(3, 1), (1,), (2, 0, 5)]).tolist() == [3, 1, 2]
