"""Records of language models as tables, and the results that come with the kit."""

from __future__ import annotations

from collections import Counter

import pytest

from erasekit.errors import RunError
from erasekit.leaderboard import answer_summary
from erasekit.leaderboard.answer_bench import ATTACKS, MEASURES
from erasekit.leaderboard.answer_summary import comparison_table, shipped, tuned
from erasekit.leaderboard.plan import LANGUAGE, trials_of

BASE = dict.fromkeys(MEASURES, 0.9)


def record(method: str, split: str = "test", seed: int = 0, **values) -> dict:
    shifted = values.pop("shift", 0.0)
    metrics = {**{k: v - shifted for k, v in BASE.items()}, **dict.fromkeys(ATTACKS, 0.5)}
    return {
        "key": f"{method}{split}{seed}", "profile": "default", "forget": "fruit", "seed": seed,
        "split": split, "method": method, "trial": {}, "failed": None, "seconds": 10.0,
        "retraining_seconds": 100.0, "steps": 5, "metrics": metrics, **values,
    }  # fmt: skip


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


def test_tuned_is_the_trial_with_the_least_expected_gap(monkeypatch):
    trials = [
        record("npo", "validation", expected_gap=5.0, trial={"steps": 1}),
        record("npo", "validation", expected_gap=3.0, trial={"options": {"beta": 1}, "steps": 2}),
        record("npo", "validation", failed="no", expected_gap=None),
    ]
    monkeypatch.setattr(answer_summary, "shipped", lambda: trials)
    assert tuned("npo") == {"options": {"beta": 1}, "steps": 2}
    assert tuned("fine_tune") == {}


# The results that come with the kit


def test_the_shipped_results_are_whole():
    """Of each method in them, each trial and one test a seed of what was best; nothing twice."""
    found = shipped()
    assert max(Counter(r["key"] for r in found).values()) == 1
    for name in {r["method"] for r in found if r["split"] == "validation"}:
        of_name = [r for r in found if r["method"] == name]
        tried = [r for r in of_name if r["split"] == "validation"]
        assert sorted(str(r["trial"]) for r in tried) == sorted(map(str, trials_of(LANGUAGE, name)))
        best = min(tried, key=lambda r: r["expected_gap"])["trial"]
        assert [r["trial"] for r in of_name if r["split"] == "test"] == [best] * 3
    tested = Counter(r["method"] for r in found if r["split"] == "test")
    assert set(tested) >= {"mmunlearner", *LANGUAGE.references}
    assert set(tested.values()) == {3}
    assert {r["seed"] for r in found if r["split"] == "test"} == {0, 1, 2}


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
