"""What the benchmark asks: tasks that exist, budgets that are equal, a choice without an oracle."""

from __future__ import annotations

import pytest

from erasekit.data.drawn.concepts import select_concepts, split_concepts
from erasekit.errors import UsageError
from erasekit.leaderboard.plan import (
    CLIP,
    CONTROL,
    LANGUAGE,
    Kind,
    pick_methods,
    pick_tasks,
    read_search_space,
    search_space,
    settings_of,
    tasks_of,
    trials_of,
)
from erasekit.unlearn.registry import methods_of


def test_eight_tasks_of_the_asked_sizes():
    tasks = tasks_of("benchmark")
    assert len(tasks) == 8
    concepts = select_concepts(settings_of("benchmark", tasks["one_concept"], 0).concepts)
    trained = [c for c in concepts if not c.holdout]
    forgotten = {name: split_concepts(concepts, task.forget)[0] for name, task in tasks.items()}
    groups = {name: {concepts[i].group for i in found} for name, found in forgotten.items()}
    assert len(forgotten["one_concept"]) == len(forgotten["inside_scenes"]) == 1
    assert len(groups["one_group"]) == 1
    assert set(forgotten["one_group"]) == {c.index for c in trained if c.group == "fruit"}
    assert len(groups["across_groups"]) == len(forgotten["across_groups"])
    assert all(concepts[i].attributes["colour"] == "red" for i in forgotten["attribute"])
    assert len(groups["attribute"]) > 1
    assert len(forgotten["ten_percent"]) == len(trained) // 10
    assert len(forgotten["thirty_percent"]) == 3 * len(trained) // 10
    assert len(tasks["five_requests"].requests) == len(forgotten["five_requests"]) == 5
    assert tasks["inside_scenes"].scenes_only


@pytest.mark.parametrize("kind", [CLIP, LANGUAGE])
def test_every_method_in_the_search_space_has_the_same_number_of_trials(kind: Kind):
    space = search_space(kind)
    assert set(space) <= set(kind.methods) - {CONTROL}
    assert len({len(trials) for trials in space.values()}) == 1
    for name, trials in space.items():
        assert len({str(trial) for trial in trials}) == len(trials), f"{name} has a trial twice"


@pytest.mark.parametrize("kind", [CLIP, LANGUAGE])
@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"npoo": [{}]}, "did you mean 'npo'"),
        ({"npo": [{}, {}]}, "npo has 2 trials, and the budget of each method is 1"),
        ({"npo": [{"stpes": 3}]}, "did you mean 'steps'"),
        ({"npo": [{"steps": 0}]}, "must be at least 1"),
        ({"npo": [{"options": {"bta": 1}}]}, "did you mean 'beta'"),
    ],
)
def test_a_search_space_that_is_wrong_is_refused(kind: Kind, methods: dict, words: str):
    with pytest.raises(UsageError, match=words):
        read_search_space({"trials": 1, "methods": methods}, kind)


def test_a_method_without_trials_is_tried_once_with_its_defaults():
    assert trials_of(CLIP, "a new one") == ({"options": {}},)
    assert trials_of(LANGUAGE, "a new one") == ({},)
    assert trials_of(CLIP, "npo") == search_space(CLIP)["npo"]


def test_names_are_picked_or_refused():
    assert pick_methods(["all"]) == [name for name in methods_of("clip") if name != CONTROL]
    assert pick_methods(["npo", CONTROL, "npo"]) == ["npo"]
    assert "mmunlearner" in pick_methods(["all"], LANGUAGE)
    with pytest.raises(UsageError, match="did you mean 'npo'"):
        pick_methods(["npoo"], LANGUAGE)
    assert [task.name for task in pick_tasks("smoke", ["all"])] == list(tasks_of("smoke"))
    with pytest.raises(UsageError, match="did you mean 'one_group'"):
        pick_tasks("benchmark", ["one_grup"])
    with pytest.raises(UsageError, match="has no benchmark"):
        pick_tasks("default", ["all"])
