"""What the benchmark asks: tasks that exist, budgets that are equal, a choice without an oracle."""

from __future__ import annotations

import copy

import pytest

from erasekit.data.drawn.concepts import select_concepts, split_concepts
from erasekit.errors import UsageError
from erasekit.evaluate.scorecard import AVERAGE_GAP
from erasekit.leaderboard import plan
from erasekit.leaderboard.plan import (
    CONTROL,
    expected_gap,
    pick_methods,
    pick_tasks,
    read_search_space,
    search_space,
    settings_of,
    tasks_of,
)
from erasekit.unlearn.registry import methods_of

SPACE = {
    "trials": 1,
    "methods": {name: [{"learning_rate": 1e-4}] for name in methods_of("clip") if name != CONTROL},
}


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


def test_every_method_that_is_tuned_has_the_same_number_of_trials():
    """A new method may go without, until somebody has the hours for them."""
    space = search_space()
    assert len(space) >= 18 and set(space) <= set(methods_of("clip")) - {CONTROL}
    assert len({len(trials) for trials in space.values()}) == 1
    for name, trials in space.items():
        different = {str(trial.as_dict()) for trial in trials}
        assert len(different) == len(trials), f"{name} has a trial twice"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["methods"]["npo"].append({}), "npo has 2 trials"),
        (lambda v: v["methods"].update(npoo=[{}]), "did you mean 'npo'"),
        (lambda v: v["methods"].update(npo=[{"stpes": 3}]), "did you mean 'steps'"),
        (lambda v: v["methods"].update(npo=[{"steps": 0}]), "must be at least 1"),
        (lambda v: v["methods"].update(npo=[{"options": {"bta": 1}}]), "did you mean 'beta'"),
    ],
)
def test_a_search_space_that_is_wrong_is_refused(change, words):
    read_search_space(SPACE)
    wrong = copy.deepcopy(SPACE)
    change(wrong)
    with pytest.raises(UsageError, match=words):
        read_search_space(wrong)


def test_names_are_picked_or_refused():
    assert pick_methods(["all"]) == [name for name in methods_of("clip") if name != CONTROL]
    assert pick_methods(["npo", CONTROL, "npo"]) == ["npo"]
    with pytest.raises(UsageError, match="did you mean 'npo'"):
        pick_methods(["nqo"])
    assert [task.name for task in pick_tasks("smoke", ["all"])] == list(tasks_of("smoke"))
    with pytest.raises(UsageError, match="did you mean 'one_group'"):
        pick_tasks("benchmark", ["one_grup"])
    with pytest.raises(UsageError, match="has no benchmark"):
        pick_tasks("default", ["all"])


def test_a_method_without_trials_is_left_out_and_refused_by_name(monkeypatch):
    without = {name: trials for name, trials in search_space().items() if name != "npo"}
    monkeypatch.setattr(plan, "search_space", lambda: without)
    assert "npo" not in pick_methods(["all"])
    with pytest.raises(UsageError, match="npo has no trials: add some"):
        pick_methods(["npo"])


def test_the_expected_gap_knows_the_original_and_no_oracle():
    original = {f"{m}_{s}": 0.8 for m, s in AVERAGE_GAP}
    perfect = {**original, "top1_forget": 0.0, "membership_auc_forget": 0.5}
    assert expected_gap(perfect, original, AVERAGE_GAP) == 0
    # Forgetting nothing costs 80 points of top-1 and 30 of the AUC, over five measures.
    assert expected_gap(original, original, AVERAGE_GAP) == pytest.approx((80 + 30) / 5)
    # To gain on the retained is a distance, too.
    gained = {**perfect, "top1_retain": 0.9}
    assert expected_gap(gained, original, AVERAGE_GAP) == pytest.approx(10 / 5)
    assert expected_gap({**perfect, "top1_retain": float("nan")}, original, AVERAGE_GAP) == float(
        "inf"
    )
