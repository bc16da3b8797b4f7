"""The page: made from records alone, the same each time, and saying what failed."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_summary import NAMES, record, references

from erasekit.errors import RunError
from erasekit.leaderboard.page import leaderboard_text, write_leaderboard
from erasekit.leaderboard.plan import CLIP, trials_of
from erasekit.leaderboard.records import SHIPPED, Records
from erasekit.leaderboard.run import Unit
from erasekit.leaderboard.summary import ranking, results

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
    assert "--seeds 0 1 \\\n    --out erasekit/leaderboard/results.jsonl --page docs" in page
    assert "**3 of 8 tasks have been run.** Not yet: a list across groups;" in page
    assert "![methods cost](methods_cost.png)" in page
    for heading in ("# Leaderboard", "## All tasks", "## One concept", "## All red things"):
        assert heading in page
    line = next(part for part in page.splitlines() if part.startswith("| never_seen"))
    assert [cell.strip() for cell in line.strip("|").split("|")][1:] == ["1.0"] * 4
    assert "- ssd, attribute, seed 0: the loss is nan" in page
    assert "nan" not in page.replace("the loss is nan", "")
    assert "not an established ranking.** 4 trials for each" in page
    assert "gap is 33.6 points, above the oracles' floor of 2.0;" in page
    assert "edge" not in page, "these records hold no trials"


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


ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_what_the_committed_records_give():
    shipped = Records(SHIPPED).read()
    page = (ROOT / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    pictures = ["methods_tradeoff.png", "methods_cost.png", "methods_ranks.png"]
    assert page == leaderboard_text(shipped, pictures)
    assert all((ROOT / "docs" / name).is_file() for name in pictures)


def test_the_committed_records_are_whole():
    """Of every task and method in them: each trial, and each test of each seed."""
    shipped = Records(SHIPPED).read()
    assert not any(r["failed"] for r in shipped if r["method"] in ("never_seen", "cliperase"))
    names = {r["method"] for r in shipped if r["split"] == "validation"}
    for task in {r["task"] for r in shipped}:
        of_task = [r for r in shipped if r["task"] == task]
        for name in names:
            trials = [r for r in of_task if r["split"] == "validation" and r["method"] == name]
            assert len(trials) == len(trials_of(CLIP, name)), (task, name)
        for seed in (0, 1, 2):
            done = [r["method"] for r in of_task if r["split"] == "test" and r["seed"] == seed]
            assert sorted(done) == sorted([*names, *CLIP.references]), (task, seed)


def test_a_method_that_was_not_tuned_is_named(records):
    another = [{**r, "method": "another"} if r["method"] == "npo" else r for r in records]
    assert "Not tuned, but tested with its defaults: another." in leaderboard_text(another)
    assert "Not tuned" not in leaderboard_text(records)


def test_never_seen_leaves_no_name_on_any_task_and_seed():
    shipped = [r for r in Records(SHIPPED).read() if r["split"] == "test"]
    left = [r["metrics"]["top1_forget"] for r in shipped if r["method"] == "never_seen"]
    assert len(left) == 24
    assert max(left) <= 0.05


@pytest.mark.default
def test_a_committed_record_comes_out_again():
    """A closed form on validation, which needs the original alone."""
    (record,) = (
        r
        for r in Records(SHIPPED).read()
        if (r["task"], r["method"], r["split"]) == ("one_concept", "null_space", "validation")
        and r["trial"]["options"] == {"strength": 0.8}
    )
    unit = Unit("benchmark", "one_concept", 0, ("null_space",), tuning=True)
    again = unit.bench().result("null_space", record["trial"], "validation")
    # The original is trained anew, and on another processor it is not the same to the bit.
    assert again["metrics"] == pytest.approx(record["metrics"], abs=0.15)
    assert again["expected_gap"] == pytest.approx(record["expected_gap"], abs=8)
