"""The comparison: equal budgets, nothing chosen on test, nothing run twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from erasekit.errors import RunError, UsageError
from erasekit.experiment.language_experiment import MllmExperiment
from erasekit.fingerprint import closure
from erasekit.leaderboard import answer_run as comparison
from erasekit.leaderboard.answer_page import PAGE, markdown_table, page_text
from erasekit.leaderboard.answer_run import (
    ATTACKS,
    MEASURES,
    best_trial,
    comparison_table,
    expected_gap,
    read_search_space,
    search_space,
    shipped,
)
from erasekit.unlearn.registry import methods_of

BASE = dict.fromkeys(MEASURES, 0.9)


def record(method: str, split: str = "test", seed: int = 0, **values) -> dict:
    shifted = values.pop("shift", 0.0)
    metrics = {**{k: v - shifted for k, v in BASE.items()}, **dict.fromkeys(ATTACKS, 0.5)}
    return {
        "key": f"{method}{split}{seed}", "profile": "default", "forget": "fruit", "seed": seed,
        "split": split, "method": method, "trial": {}, "failed": None, "seconds": 10.0,
        "retraining_seconds": 100.0, "steps": 5, "metrics": metrics, **values,
    }  # fmt: skip


def test_every_method_but_the_control_has_the_same_number_of_trials():
    space = search_space()
    assert set(space) == set(methods_of("language")) - {"fine_tune"}
    assert len({len(trials) for trials in space.values()}) == 1
    for trials in space.values():
        assert len({str(trial) for trial in trials}) == len(trials)


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"npoo": [{}]}, "did you mean 'npo'"),
        ({"npo": [{}, {}]}, "budget of each method is 1"),
        ({"npo": [{"stpes": 3}]}, "did you mean 'steps'"),
        ({"npo": [{"options": {"bta": 1}}]}, "did you mean 'beta'"),
        ({"npo": [{"learning_rate": -1}]}, "must be above 0"),
        ({"npo": [{}]}, "is missing, and would not be tuned"),
    ],
)
def test_a_damaged_search_space_is_one_clear_line(methods, words):
    with pytest.raises(UsageError, match=words):
        read_search_space({"trials": 1, "methods": methods})


def test_the_expected_gap_wants_what_is_forgotten_gone_and_all_else_kept():
    original = dict.fromkeys(MEASURES, 0.9)
    found = {**original, "seen forget": 0.2, "told retain": 0.8}
    assert expected_gap(found, original) == pytest.approx(100 * (0.2 + 0.1) / 5)


def test_the_table_by_hand():
    records = [
        record("original"), record("oracle", shift=0.1), record("fine_tune"),
        record("npo", shift=0.2), record("npo", seed=1, shift=0.4),
        record("oracle", seed=1, shift=0.1), record("npo", split="validation", shift=5),
        record("gradient_ascent", failed="no", metrics=None),
    ]  # fmt: skip
    table = comparison_table(records)
    assert list(table.index) == ["original", "npo", "fine_tune", "oracle"]
    assert table.loc["oracle", "average gap"] == 0
    assert table.loc["npo", "average gap"] == pytest.approx((10 + 30) / 2)
    assert table.loc["npo", "average gap ±"] == pytest.approx(10)
    assert table.loc["npo", "seen forget"] == pytest.approx(0.6)
    assert table.loc["npo", "of retraining"] == pytest.approx(0.1)


def test_without_a_test_there_is_no_table():
    with pytest.raises(RunError, match="hold no test"):
        comparison_table([record("npo", split="validation")])


def test_a_run_tunes_on_validation_tests_on_test_and_runs_nothing_twice(
    tiny_mllm, tmp_path, monkeypatch
):
    space = {"npo": ({"steps": 1}, {"steps": 2}), "mmunlearner": ({"steps": 1}, {"steps": 3})}
    monkeypatch.setattr(comparison, "search_space", lambda: space)
    monkeypatch.setattr(comparison, "load", lambda profile, **parameters: tiny_mllm)
    names = ["npo", "mmunlearner"]
    path = tmp_path / "results.jsonl"
    found = comparison.compare(path, methods=names, seeds=[0], progress=False).read()
    shown = [(r["split"], r["method"]) for r in found]
    assert shown == [
        *(("validation", name) for name in names for _ in range(2)),
        *(("test", name) for name in ("original", "oracle", "fine_tune", *names)),
    ]
    for name in names:
        of_name = [r for r in found if r["method"] == name]
        tried = [r for r in of_name if r["split"] == "validation"]
        best = min(tried, key=lambda r: r["expected_gap"])["trial"]
        assert best_trial(found, tiny_mllm, name) == best
        assert [r["trial"] for r in of_name if r["split"] == "test"] == [best]
    for one in found:
        assert set(one["metrics"]) == {*MEASURES, *(ATTACKS if one["split"] == "test" else ())}
    monkeypatch.setattr(comparison._Bench, "_model", None)
    again = comparison.compare(path, methods=names, seeds=[0], progress=False).read()
    assert again == found
    assert "| npo |" in page_text(found) and "± " in page_text(found)


def test_tuning_sees_nothing_of_the_test_split(tiny_mllm, tmp_path, monkeypatch):
    """The original that trials are held against is measured on validation as well."""
    measured, held = [], []
    evaluate, gap = MllmExperiment.evaluate, comparison.expected_gap

    def spy(self, models, *, split="test", **rest):
        table = evaluate(self, models, split=split, **rest)
        measured.append((split, models["it"] is tiny_mllm.original, table))
        return table

    def spy_gap(metrics, original):
        held.append(original)
        return gap(metrics, original)

    monkeypatch.setattr(comparison, "search_space", lambda: {"npo": ({"steps": 1}, {"steps": 2})})
    monkeypatch.setattr(comparison, "load", lambda profile, **parameters: tiny_mllm)
    monkeypatch.setattr(comparison, "expected_gap", spy_gap)
    monkeypatch.setattr(MllmExperiment, "evaluate", spy)
    comparison.compare(tmp_path / "r.jsonl", methods=["npo"], seeds=[0], progress=False)
    assert [split for split, *_ in measured] == ["validation"] * 3 + ["test"] * 4
    (own,) = [table for split, original, table in measured if original and split == "validation"]
    assert len(held) == 2
    for name, (mode, subset, kind) in MEASURES.items():
        row = own[(own["mode"] == mode) & (own["subset"] == subset) & (own["kind"] == kind)]
        assert [original[name] for original in held] == [row["value"].item()] * 2


def test_untuned_is_an_error(tiny_mllm):
    with pytest.raises(RunError, match="has not been tuned"):
        best_trial([], tiny_mllm, "npo")


def test_tuned_is_the_trial_with_the_least_expected_gap(monkeypatch):
    trials = [
        record("npo", "validation", expected_gap=5.0, trial={"steps": 1}),
        record("npo", "validation", expected_gap=3.0, trial={"options": {"beta": 1}, "steps": 2}),
        record("npo", "validation", failed="no", expected_gap=None),
    ]
    monkeypatch.setattr(comparison, "shipped", lambda: trials)
    assert comparison.tuned("npo") == {"options": {"beta": 1}, "steps": 2}
    assert comparison.tuned("fine_tune") == {}


# The results that come with the kit

ROOT = Path(__file__).parents[2]


def test_the_shipped_results_are_whole():
    """Each trial of each method, and one test a seed of what was best; nothing twice."""
    found = shipped()
    assert max(Counter(r["key"] for r in found).values()) == 1
    for name, trials in search_space().items():
        of_name = [r for r in found if r["method"] == name]
        tried = [r for r in of_name if r["split"] == "validation"]
        assert sorted(str(r["trial"]) for r in tried) == sorted(map(str, trials))
        best = min(tried, key=lambda r: r["expected_gap"])["trial"]
        assert [r["trial"] for r in of_name if r["split"] == "test"] == [best] * 3
    tested = Counter(r["method"] for r in found if r["split"] == "test")
    assert tested == dict.fromkeys((*methods_of("language"), "original", "oracle"), 3)
    assert {r["seed"] for r in found if r["split"] == "test"} == {0, 1, 2}


def test_page_and_readme_are_what_the_shipped_results_give():
    assert (ROOT / "docs" / PAGE).read_text(encoding="utf-8") == page_text(shipped())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = comparison_table(shipped())
    assert markdown_table(table, ["average gap", *MEASURES, "of retraining"]) in readme
    assert markdown_table(table, list(ATTACKS)) in readme


def test_what_mmunlearner_must_hold_it_holds_over_three_seeds():
    """Sight gone to within ten points of the oracle; nothing else further off than stated."""
    table = comparison_table(shipped())
    erased, original, oracle = (table.loc[n] for n in ("mmunlearner", "original", "oracle"))
    assert original["seen retain"] >= 0.95 and original["told retain"] >= 0.99
    assert erased["seen forget"] <= oracle["seen forget"] + 0.10
    assert erased["told forget"] >= original["told forget"] - 0.02
    for kept in ("seen retain", "told retain"):
        assert erased[kept] >= original[kept] - 0.03
    assert erased["of retraining"] <= 1 / 8


def test_a_key_knows_the_methods_own_module(monkeypatch: pytest.MonkeyPatch):
    entries: list[str] = []
    monkeypatch.setattr(comparison, "code_identity", lambda *names: entries.extend(names) or {})
    comparison._key({"method": "mmunlearner"})
    assert "erasekit.unlearn.methods.mmunlearner" in entries
    assert {"erasekit.unlearn.answer_batches", "erasekit.unlearn.mask"} <= set(closure(*entries))
