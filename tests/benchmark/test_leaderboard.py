"""The page: made from records alone, the same each time, and saying what failed."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_summary import NAMES, record, references

from erasekit.benchmark.leaderboard import leaderboard_text, write_leaderboard
from erasekit.benchmark.summary import ranking, results
from erasekit.errors import RunError

TASKS = ("one_concept", "one_group", "attribute")


@pytest.fixture
def records() -> list[dict]:
    made: list[dict] = []
    for task in TASKS:
        for seed in (0, 1):
            made += references(seed, task)
            for place, method in enumerate(("never_seen", "cliperase", "npo")):
                made.append(record(method, 0.53 + 0.1 * place, seed, task))
    made.append(record("ssd", 0, 0, "attribute", metrics=None, failed="the loss is nan"))
    return [{**r, "profile": "benchmark"} for r in made]


def test_the_page_is_made_from_the_records_alone(records):
    page = leaderboard_text(records, ["methods_cost.png"])
    assert page == leaderboard_text(list(records), ["methods_cost.png"])
    assert "--seeds 0 1 --page docs" in page
    assert "![methods cost](methods_cost.png)" in page
    for heading in ("# Leaderboard", "## All tasks", "## One concept", "## All red things"):
        assert heading in page
    line = next(part for part in page.splitlines() if part.startswith("| never_seen"))
    assert [cell.strip() for cell in line.strip("|").split("|")][1:] == ["1.0"] * 4
    assert "- ssd, attribute, seed 0: the loss is nan" in page
    assert "nan" not in page.replace("the loss is nan", "")


def test_a_method_has_its_mean_and_deviation_over_seeds(records):
    for r in records:
        if (r["method"], r["seed"], r["task"]) == ("npo", 1, "one_group"):
            r["metrics"] = dict.fromkeys(NAMES, 0.77)
    page = leaderboard_text(records)
    part = page.split("## One group")[1].split("##")[0]
    line = next(row for row in part.splitlines() if row.startswith("| npo"))
    assert line.split("|")[2].strip() == "23.0 ± 2.8"
    assert line.split("|")[3].strip() == "75.0 % ± 2.8 %"


def test_the_page_and_its_pictures_are_written(records, tmp_path: Path):
    path = write_leaderboard(records, tmp_path)
    text = path.read_text(encoding="utf-8")
    pictures = {p.name for p in tmp_path.glob("*.png")}
    assert pictures == {"methods_tradeoff.png", "methods_cost.png", "methods_ranks.png"}
    assert all(f"({name})" in text for name in pictures)
    with pytest.raises(RunError, match="no test"):
        write_leaderboard([], tmp_path)


def test_ranks_are_means_over_tasks_and_few_are_refused(records):
    ranked = ranking(results(records))
    assert ranked.ranks.to_dict() == {"never_seen": 1, "cliperase": 2, "npo": 3}
    assert ranked.tasks == 3
    # Friedman's statistic for three methods that always rank alike on three tasks is 6.
    assert ranked.p_value == pytest.approx(0.0498, abs=1e-4)
    # Nemenyi's q at 5 % for three is 2.343 (Demšar 2006, table 5).
    assert ranked.critical_difference == pytest.approx(2.343 * (3 * 4 / (6 * 3)) ** 0.5, abs=2e-3)
    with pytest.raises(RunError, match="2 methods on 3 tasks in common cannot be ranked"):
        ranking(results([r for r in records if r["method"] not in ("npo", "ssd")]))
