"""From records to tables: the arithmetic of gaps, floors and means."""

from __future__ import annotations

import pytest

from erasekit.errors import RunError
from erasekit.evaluate.scorecard import AVERAGE_GAP
from erasekit.leaderboard.summary import (
    FLOOR,
    NAME_FILTER,
    findings,
    gap_table,
    gaps_by_measure,
    results,
    summary_text,
    tasks_on_edge,
)

NAMES = [f"{metric}_{subset}" for metric, subset in AVERAGE_GAP]


def record(method: str, value: float, seed: int = 0, task: str = "t", **more) -> dict:
    return {
        "task": task,
        "method": method,
        "seed": seed,
        "split": "test",
        "trial": {},
        "failed": None,
        "metrics": dict.fromkeys(NAMES, value),
        "seconds": 5.0,
        "retraining_seconds": 50.0,
        **more,
    }


def references(seed: int = 0, task: str = "t") -> list[dict]:
    oracles = {"oracle-0": 0.50, "oracle-1": 0.52, "oracle-2": 0.54}
    return [
        record("original", 0.9, seed, task),
        *(record(name, value, seed, task) for name, value in oracles.items()),
    ]


def test_a_gap_is_to_the_mean_of_the_oracles_and_theirs_to_the_others():
    found = results([*references(), record("npo", 0.60)]).set_index("method")
    assert found.loc["npo", "average_gap"] == pytest.approx(8.0)
    assert found.loc["original", "average_gap"] == pytest.approx(38.0)
    assert sorted(found.loc[FLOOR, "average_gap"]) == pytest.approx([0.0, 3.0, 3.0])
    assert found.loc["npo", "retraining_share"] == pytest.approx(0.1)


def test_the_name_filter_is_the_original_with_the_forgotten_hidden():
    found = results([*references(), record("npo", 0.6)]).set_index("method")
    line = found.loc[NAME_FILTER]
    # Oracles: 0.52 on average. Hidden: forget 0 instead of 0.9, membership 0.5 instead of 0.9.
    assert line["average_gap"] == pytest.approx((52 + 3 * 38 + 2) / 5)
    assert line["top1_forget"] == 0
    assert line["membership_auc_forget"] == 0.5
    assert line["top1_retain"] == found.loc["original", "top1_retain"]
    assert line["kind"] == "filter"
    assert found.loc["original", "top1_forget"] == 0.9, "the original's own row stays"


def test_a_gap_has_no_sign_in_the_mean():
    below = record("npo", 0.5)
    below["metrics"] = dict(zip(NAMES, (0.42, 0.62, 0.52, 0.52, 0.52), strict=True))
    found = results([*references(), below]).set_index("method")
    assert found.loc["npo", "average_gap"] == pytest.approx((10 + 10) / 5)


def test_oracles_of_the_same_seed_and_task_are_taken():
    apart = [record(f"oracle-{i}", 0.1, seed=1) for i in range(3)]
    records = [*references(), record("original", 0.9, 1), *apart]
    found = results([*records, record("npo", 0.52), record("npo", 0.1, 1)])
    assert found.loc[found["method"] == "npo", "average_gap"].tolist() == pytest.approx([0, 0])


def test_what_failed_counts_as_if_nothing_had_been_done():
    failed = record("npo", 0, metrics=None, failed="the loss is nan")
    found = results([*references(), failed]).set_index("method")
    assert found.loc["npo", "average_gap"] == found.loc["original", "average_gap"]


def test_the_later_of_two_counts_and_tuning_does_not():
    tuning = record("npo", 0.9, split="validation")
    found = results([*references(), record("npo", 0.7), record("npo", 0.52), tuning])
    assert found.loc[found["method"] == "npo", "average_gap"].tolist() == pytest.approx([0])


def test_the_table_is_the_mean_over_seeds_then_over_tasks_best_first():
    records = [*references(), *references(seed=1), *references(task="u")]
    records += [record("npo", 0.54), record("npo", 0.56, seed=1), record("npo", 0.62, task="u")]
    records += [record("ssd", 0.53), record("ssd", 0.53, seed=1)]  # it lacks the task u
    table = gap_table(results(records))
    assert table.loc["npo", "t"] == pytest.approx(3)
    assert table.loc["npo", "mean"] == pytest.approx((3 + 10) / 2)
    assert table["mean"].dropna().is_monotonic_increasing
    assert table.index[-1] == "ssd", "what lacks a task has no mean"
    text = summary_text(records)
    assert "npo" in text
    assert "nan" not in text
    assert summary_text([]) == "no task has been tested yet"


def test_the_findings_name_the_two_nearest_the_floor_and_the_name_filter():
    records: list[dict] = []
    for task, (npo, ssd) in {"t": (0.56, 0.60), "u": (0.58, 0.54), "v": (0.52, 0.62)}.items():
        records += [*references(task=task), record("npo", npo, task=task)]
        records.append(record("ssd", ssd, task=task))
    found = findings(results(records))
    assert (found["best"], found["second"]) == ("npo", "ssd")
    assert found["best_gap"] == pytest.approx((4 + 6 + 0) / 3)
    assert found["second_gap"] == pytest.approx((8 + 2 + 10) / 3)
    assert found["floor_gap"] == pytest.approx(2)
    assert found["tasks"] == 3
    assert found["filter_gap"] == pytest.approx((52 + 3 * 38 + 2) / 5)
    assert found["filter_is"] == "above"
    for one in records:  # oracles that know nothing of the forgotten, as the filter's answers do
        one["metrics"] = one["metrics"] | {"top1_forget": 0.0}
        if one["method"] == "original":
            one["metrics"] = dict.fromkeys(NAMES, 0.52)
    assert findings(results(records))["filter_is"] == "not above"


def test_a_methods_gaps_keep_their_sign_and_stand_beside_the_others():
    one = record("npo", 0.5)
    one["metrics"] = dict(zip(NAMES, (0.62, 0.42, 0.52, 0.52, 0.52), strict=True))
    table = gaps_by_measure(results([*references(), one, record("ssd", 0.55)]), "npo")
    line = table.loc["t"]
    assert line["average gap"] == pytest.approx(4)
    assert line["best other"] == pytest.approx(3)
    assert line["floor"] == pytest.approx(2)
    assert line["top1 forget"] == pytest.approx(10)
    assert line["top1 neighbours"] == pytest.approx(-10)
    with pytest.raises(RunError, match="no test of scrub"):
        gaps_by_measure(results([*references(), one]), "scrub")


def test_the_tasks_on_which_the_best_trial_has_an_extreme_value_are_counted():
    def trial(**values) -> dict:
        return {
            "options": {k: v for k, v in values.items() if k != "learning_rate"},
            **{k: v for k, v in values.items() if k == "learning_rate"},
        }

    def made(task: str, method: str, best: int, tried: list[dict]) -> list[dict]:
        rows = [record(method, 0, 0, task, split="validation", trial=one) for one in tried]
        rows.append(record(method, 0, 0, task, trial=tried[best]))
        return [{**row, "profile": "benchmark"} for row in rows]

    rates = [trial(learning_rate=rate) for rate in (1e-5, 2e-5, 4e-5)]
    # The default of forgetting, which the second trial leaves as it is, is 3: between 1 and 5.
    weights = [trial(forgetting=1), trial(), trial(forgetting=5)]
    records = [
        *made("one_group", "lip", 0, rates),
        *made("attribute", "lip", 1, rates),
        *made("one_concept", "lip", 2, rates),
        *made("one_group", "cliperase", 1, weights),
        *made("attribute", "cliperase", 1, weights[:2]),
    ]
    assert tasks_on_edge(records) == {"lip": 2, "cliperase": 1}
    assert tasks_on_edge(references()) == {}
