"""Over-forgetting: similarities against the scorecard's, and who lost most against a sort."""

from __future__ import annotations

import numpy as np
import pytest

from erasekit.audit.attacks.over_forgetting import lost_most, over_forgetting, own_names
from erasekit.evaluate.naming import best_names
from erasekit.evaluate.subsets import neighbours


@pytest.fixture(scope="module")
def models(tiny_experiment, tiny_erasure):
    return {
        "original": tiny_experiment.original,
        "erased": tiny_erasure.model,
        "oracle": tiny_experiment.oracle,
        # A second oracle that surely differs from the first.
        "oracle-1": tiny_experiment.original,
    }


def test_similarities_are_the_scorecards(models, tiny_experiment, tiny_scorecard) -> None:
    result = over_forgetting(models, tiny_experiment.task, draws=20)
    found = {(m.model, m.metric, m.condition): m.estimate.value for m in result.measures}
    for model in ("original", "erased", "oracle"):
        for subset in ("neighbours", "retain", "holdout"):
            expected = tiny_scorecard.value(model, "similarity", subset)
            assert found[model, "similarity", subset] == pytest.approx(expected, abs=1e-6)
        expected = tiny_scorecard.value(model, "similarity", "forget")
        assert found[model, "forget_similarity", ""] == pytest.approx(expected, abs=1e-6)


def test_each_picture_is_held_against_its_own_name(tiny_experiment) -> None:
    e = tiny_experiment
    found = own_names(e.original, e.task, "validation")
    singles = e.world.pairs("validation").singles
    assert found["concept"].tolist() == singles.labels().tolist()
    said = best_names(e.original, e.world, singles, 1)
    right = [
        names[0][0] == e.world.concept(label).name
        for names, label in zip(said, singles.labels(), strict=True)
    ]
    assert found["top1"].tolist() == [float(r) for r in right]
    assert found["top1"][np.isin(found["concept"], e.world.holdout)].sum() == 0
    assert np.abs(found["similarity"]).max() <= 1 + 1e-6


def test_who_lost_most_is_found_on_validation(models, tiny_experiment, monkeypatch) -> None:
    task = tiny_experiment.task
    asked = []
    # Four retained concepts: the second loses most top-1, of the others the last most similarity.
    lost = dict(zip(task.retained, ((0.0, 0.1), (0.5, 0.0), (0.0, 0.2), (0.0, 0.3)), strict=True))

    def made_up(clip, task, split):
        asked.append(split)
        before = clip is models["original"]
        labels = np.array(task.world.trained)
        gone = np.array([(0.0, 0.0) if before else lost.get(i, (9.0, 9.0)) for i in labels])
        return {"concept": labels, "top1": 1 - gone[:, 0], "similarity": 1 - gone[:, 1]}

    monkeypatch.setattr("erasekit.audit.attacks.over_forgetting.own_names", made_up)
    _, second, _, last = task.retained
    pair = {name: models[name] for name in ("original", "erased")}
    found = lost_most(pair, task, 10)
    # At most half of the retained, and no forgotten one; the original's list is the erased one's.
    assert found == {"erased": [second, last], "original": [second, last]}
    assert lost_most(pair, task, 1)["erased"] == [second]
    assert set(asked) == {"validation"}


def test_the_list_is_measured_on_the_split(models, tiny_experiment) -> None:
    task = tiny_experiment.task
    result = over_forgetting(models, task, draws=20)
    lists = lost_most(models, task, 10)
    listed = lists["erased"]
    assert [r["concept"] for r in result.details] == [task.world.concept(i).name for i in listed]
    pictures = {m: own_names(clip, task, "test") for m, clip in models.items()}
    for index, record in zip(listed, result.details, strict=True):
        assert record["group"] == task.world.concept(index).group
        for column, after in (("top1", ""), ("similarity", "_similarity")):
            mean = {m: of[column][of["concept"] == index].mean() for m, of in pictures.items()}
            assert record[f"original{after}"] == pytest.approx(mean["original"])
            assert record[f"erased{after}"] == pytest.approx(mean["erased"])
            assert record[f"oracle{after}"] == pytest.approx(
                (mean["oracle"] + mean["oracle-1"]) / 2
            )
            assert record[f"lost{after}"] == pytest.approx(mean["original"] - mean["erased"])
    for measure in result.measures:
        if measure.metric == "collateral_top1":
            of = pictures[measure.model]
            rows = np.isin(of["concept"], lists[measure.model])
            assert measure.estimate.value == pytest.approx(of["top1"][rows].mean())
            assert measure.estimate.n == rows.sum()


def test_concepts_without_pictures_in_a_split_are_not_listed(
    models, tiny_experiment, monkeypatch
) -> None:
    task = tiny_experiment.task
    worst = lost_most(models, task, most=2)["erased"]
    absent = {"test": worst[0], "validation": worst[1]}

    def some(clip, task, split):
        found = own_names(clip, task, split)
        return {k: v[found["concept"] != absent[split]] for k, v in found.items()}

    monkeypatch.setattr("erasekit.audit.attacks.over_forgetting.own_names", some)
    listed = over_forgetting(models, task, draws=20, most=9).details
    names = {task.world.concept(index).name for index in task.retained}
    gone = {task.world.concept(index).name for index in absent.values()}
    assert {line["concept"] for line in listed} <= names - gone


def test_neighbours_are_the_originals(models, tiny_experiment) -> None:
    task = tiny_experiment.task
    result = over_forgetting({"original": models["original"]}, task, draws=20)
    near = set(neighbours(models["original"], task))
    singles = task.world.pairs("test").singles.where(lambda shown: shown[0] in near)
    measure = next(m for m in result.measures if m.condition == "neighbours")
    assert measure.estimate.n == len(singles)


def test_without_an_oracle_or_a_model_under_audit_it_says_so(models, tiny_experiment) -> None:
    task = tiny_experiment.task
    pair = {name: models[name] for name in ("original", "erased")}
    result = over_forgetting(pair, task, draws=20)
    assert result.details
    assert all(r["oracle"] is None and r["oracle_similarity"] is None for r in result.details)
    alone = over_forgetting({"original": models["original"]}, task, draws=20)
    assert alone.details == alone.notes == []
    assert "collateral_top1" not in {measure.metric for measure in alone.measures}


def test_a_model_is_measured_the_same_whether_it_is_audited_or_an_oracle(
    models, tiny_experiment
) -> None:
    """Otherwise an innocent model would be held against oracles under other conditions."""
    one = {"original": models["original"], "erased": models["erased"], "oracle": models["oracle"]}
    two = {"original": models["original"], "erased": models["oracle"], "oracle": models["erased"]}
    swapped = {"erased": "oracle", "oracle": "erased"}
    values = [
        {
            (names.get(m.model, m.model), m.metric, m.condition): m.estimate.value
            for m in over_forgetting(given, tiny_experiment.task, draws=20).measures
            if m.model != "original"
        }
        for given, names in ((one, {}), (two, swapped))
    ]
    assert values[0] == values[1]


@pytest.mark.slow
def test_the_erased_model_is_less_sure_of_what_should_stay(smoke_experiment, smoke_erasure) -> None:
    models = {
        "original": smoke_experiment.original,
        "erased": smoke_erasure.model,
        "oracle": smoke_experiment.oracle,
    }
    result = over_forgetting(models, smoke_experiment.task, draws=50)
    value = {(m.model, m.metric, m.condition): m.estimate.value for m in result.measures}
    original, oracle = (value[m, "forget_similarity", ""] for m in ("original", "oracle"))
    assert original > oracle + 0.1
    for subset in ("neighbours", "retain"):
        assert value["oracle", "similarity", subset] > 0.4
        assert value["erased", "similarity", subset] < value["oracle", "similarity", subset] - 0.1
    assert len(result.details) == 6
