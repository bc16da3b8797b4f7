"""The benchmark itself, on a tiny world: tuned on validation, tested once, never run twice."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from erasekit.cli import app as cli
from erasekit.errors import RunError
from erasekit.evaluate import scorecard
from erasekit.experiment import clip_experiment as experiment
from erasekit.leaderboard import plan, run
from erasekit.leaderboard.plan import Task, Trial
from erasekit.leaderboard.records import Records
from erasekit.leaderboard.run import Unit, best_trial, run_benchmark
from erasekit.loop import LoopResult
from erasekit.settings import PROFILES

METHODS = ("null_space", "gradient_difference")
SPACE = {
    "null_space": (Trial({"strength": 0.5}), Trial({"strength": 1.0})),
    "gradient_difference": (Trial({}, {"steps": 2}), Trial({}, {"steps": 3})),
}
TASKS = {
    "one": Task("one", "one concept", ("penguin",)),
    "two": Task("two", "one after another", ("penguin", "red apple")),
    "inside": Task("inside", "in scenes", ("penguin",), scenes_only=True),
}


@pytest.fixture(scope="module", autouse=True)
def tiny_bench(tiny: dict):
    """The smoke profile made tiny; the search space and the tasks are this file's."""
    patch = pytest.MonkeyPatch()
    small = {k: v for k, v in tiny.items() if k != "forget"}
    patch.setitem(PROFILES, "smoke", {**PROFILES["smoke"], **small, "draws": 10})
    for module in (plan, run):
        patch.setattr(module, "search_space", lambda: SPACE)
        patch.setattr(module, "tasks_of", lambda profile: TASKS)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def done(tiny_bench, tmp_path_factory) -> Records:
    path = tmp_path_factory.mktemp("bench") / "r.jsonl"
    run_benchmark("smoke", METHODS, ["two", "inside"], [0], path, jobs=1, progress=False)
    return run_benchmark("smoke", METHODS, ["one"], [0, 1], path, jobs=1, progress=False)


def chosen(records: Records, **what) -> list[dict]:
    return [r for r in records.read() if all(r[k] == v for k, v in what.items())]


def test_every_trial_is_tried_on_validation_and_one_is_tested_a_seed(done: Records):
    for task in TASKS:
        for method in METHODS:
            trials = chosen(done, task=task, method=method, split="validation")
            assert [r["trial"] for r in trials] == [t.as_dict() for t in SPACE[method]]
            assert all(r["seed"] == 0 for r in trials)
            tested = chosen(done, task=task, method=method, split="test")
            assert sorted(r["seed"] for r in tested) == ([0, 1] if task == "one" else [0])
            best = min(trials, key=lambda r: r["expected_gap"])
            assert all(r["trial"] == best["trial"] for r in tested)
        references = [r["method"] for r in chosen(done, task=task, split="test", seed=0)]
        assert references[:5] == ["original", "oracle-0", "oracle-1", "oracle-2", "fine_tune"]
    assert not any(r["failed"] for r in done.read())


def test_a_result_has_what_the_columns_need(done: Records):
    (record,) = chosen(done, task="one", method="gradient_difference", split="test", seed=0)
    assert {"top1_forget", "recall@1_retain", "similarity_holdout", "relearning"} <= set(
        record["metrics"]
    )
    assert record["seconds"] > 0
    assert record["steps"] in (2, 3)
    assert record["retraining_seconds"] > 0
    assert record["peak_mb"] is None or record["peak_mb"] > 50
    (several,) = chosen(done, task="two", method="gradient_difference", split="test", seed=0)
    assert several["steps"] == 2 * several["trial"]["steps"], "each request takes its steps"


def test_an_oracle_is_the_same_model_for_every_seed(done: Records):
    # Neighbours are the original's and differ by seed; what does not depend on it is equal.
    for oracle in ("oracle-0", "oracle-2"):
        both = chosen(done, task="one", method=oracle, split="test")
        retained = [r["metrics"]["top1_retain"] for r in both]
        assert len(both) == 2
        assert retained[0] == retained[1]
    apart = {
        chosen(done, task="one", method=f"oracle-{i}", seed=0)[0]["metrics"]["similarity_retain"]
        for i in range(3)
    }
    assert len(apart) == 3, "oracles of different seeds differ"


def test_what_is_there_is_not_run_again_and_what_is_lost_is(done: Records, tmp_path, monkeypatch):
    path = tmp_path / "r.jsonl"
    lines = done.path.read_text(encoding="utf-8").splitlines(keepends=True)
    lost = next(i for i, line in enumerate(lines) if '"test"' in line and "null_space" in line)
    path.write_text("".join(lines[:lost] + lines[lost + 1 :]), encoding="utf-8")
    made: list[str] = []
    erase = run._Bench.erase
    monkeypatch.setattr(
        run._Bench,
        "erase",
        lambda self, model, name, trial: made.append(name) or erase(self, model, name, trial),
    )
    run_benchmark("smoke", METHODS, list(TASKS), [0], path, jobs=1, progress=False)
    again = run_benchmark("smoke", METHODS, ["one"], [0, 1], path, jobs=1, progress=False)
    assert made == ["null_space"]
    before = {r["key"]: r["metrics"] for r in done.read()}
    assert {r["key"]: r["metrics"] for r in again.read()} == before, "recomputed, it is the same"


def test_a_method_that_fails_is_written_down_and_stops_nothing(done, tmp_path, monkeypatch):
    def broken(self, original, name, trial):
        raise RunError("the loss is nan")

    path = tmp_path / "r.jsonl"
    monkeypatch.setattr(run._Bench, "erase", broken)
    records = run_benchmark("smoke", ("null_space",), ["one"], [0], path, jobs=1, progress=False)
    failed = chosen(records, method="null_space")
    assert len(failed) == len(SPACE["null_space"]) + 1
    assert all("the loss is nan" in r["failed"] for r in failed)
    assert chosen(records, method="oracle-0")[0]["metrics"]


def test_what_fails_besides_a_method_is_no_result(done, tmp_path, monkeypatch):
    def full(self):
        raise RunError("cannot write the cache")

    path = tmp_path / "r.jsonl"
    monkeypatch.setattr(run._Bench, "oracles", property(full))
    with pytest.raises(RunError, match="cannot write the cache"):
        run_benchmark("smoke", ("null_space",), ["one"], [0], path, jobs=1, progress=False)
    assert not any(r["method"].startswith("oracle") for r in Records(path).read())


def test_the_best_trial_has_the_least_expected_gap_and_none_is_needed():
    unit = Unit("smoke", "one", 1, ("null_space",), tuning=False)
    tuning = dataclasses.replace(unit, seed=0, tuning=True)
    keys = list(tuning.wanted(()))
    records = [
        {"key": keys[0], "expected_gap": 9.0},
        {"key": keys[1], "expected_gap": 3.0},
    ]
    assert best_trial(unit, "null_space", records) == SPACE["null_space"][1]
    records[1]["expected_gap"] = None  # it failed
    assert best_trial(unit, "null_space", records) == SPACE["null_space"][0]
    assert best_trial(unit, "null_space", []) == SPACE["null_space"][0]


def test_the_command_runs_it_and_prints_the_gaps(done: Records, tmp_path: Path, capsys):
    path = tmp_path / "r.jsonl"
    path.write_bytes(done.path.read_bytes())
    given = ["--methods", "null_space", "--tasks", "one,two", "--seeds", "0"]
    code = cli.run(["benchmark", *given, "--profile", "smoke", "--out", str(path), "--jobs", "1"])
    printed = capsys.readouterr().out
    assert code == 0
    assert "null_space" in printed
    assert "oracle (floor)" in printed
    assert f"results: {path}" in printed


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--methods", "npoo"], "did you mean 'npo'"),
        (["--tasks", "thre"], "unknown task 'thre'"),
        (["--seeds", "x"], "--seeds x: give whole numbers"),
        (["--seeds", "0", "-1"], "-1"),
    ],
)
def test_misuse_is_told_in_a_line(given, words, capsys):
    assert cli.run(["benchmark", *given]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_several_processes_make_the_same_results(tmp_path):
    """On the real smoke tasks: what is patched above does not reach another process."""
    code = (
        "import sys; from pathlib import Path\n"
        "from erasekit.leaderboard.run import run_benchmark\n"
        "if __name__ == '__main__':\n"
        "    run_benchmark('smoke', ['null_space'], ['one_group', 'two_requests'], [0],\n"
        "                  Path(sys.argv[1]), jobs=2, progress=False)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    out = tmp_path / "r.jsonl"
    subprocess.run([sys.executable, str(script), str(out)], check=True)
    records = Records(out).read()
    assert {r["task"] for r in records} == {"one_group", "two_requests"}
    assert len(records) == 2 * (4 + 6)
    assert not any(r["failed"] for r in records)


# What the oracles saw, and on which split anything is chosen


@pytest.mark.parametrize(
    ("task", "gone"), [("inside", {"penguin"}), ("two", {"penguin", "red apple"})]
)
def test_no_oracle_saw_what_its_task_forgets(task: str, gone: set, empty_cache, monkeypatch):
    trained: list[tuple] = []

    def note(world, pairs, spec, folder, **rest) -> LoopResult:
        trained.append((world, pairs, spec.seed))
        return LoopResult(steps=spec.steps)

    monkeypatch.setattr(experiment, "train_clip", note)
    monkeypatch.setattr(experiment.Experiment, "_load", lambda self, source, *_: source)
    oracles = run._Bench(Unit("smoke", task, 4, METHODS, tuning=False)).oracles
    assert list(oracles) == ["oracle-0", "oracle-1", "oracle-2"]
    assert [seed for *_, seed in trained] == [0, 1, 2]
    for world, pairs, _ in trained:
        samples = world.samples("train")
        forgotten = {c.index for c in world.concepts if c.name in gone}
        kept = [i for i, sample in enumerate(samples) if forgotten.isdisjoint(sample.concepts)]
        assert pairs.positions.tolist() == kept
        assert pairs.captions == tuple(world.caption(samples[i]) for i in kept)


def test_tuning_sees_nothing_of_the_test_split(tmp_path, monkeypatch):
    """Each measurement of the tuning, that of the original too, is on validation."""
    measured: list[tuple] = []
    held: list[tuple] = []
    evaluate, gap = scorecard.evaluate, run.expected_gap

    def spy(task, models, *, split="test", **rest):
        card = evaluate(task, models, split=split, **rest)
        measured.append((split, models["erased"] is models["original"], card))
        return card

    def spy_gap(metrics, original, average):
        held.append((dict(metrics), dict(original)))
        return gap(metrics, original, average)

    monkeypatch.setattr(scorecard, "evaluate", spy)
    monkeypatch.setattr(run, "expected_gap", spy_gap)
    path = tmp_path / "r.jsonl"
    run.run_unit(Unit("smoke", "one", 0, ("null_space",), tuning=True), path)
    assert {split for split, *_ in measured} == {"validation"}
    (own,) = [card for _, original, card in measured if original]
    assert len(held) == len(SPACE["null_space"])
    for metrics, original in held:
        assert original["top1_retain"] == own.value("original", "top1", "retain")
        assert original["membership_auc_forget"] == own.value(
            "original", "membership_auc", "forget"
        )
        assert metrics != original
    assert [r["split"] for r in Records(path).read()] == ["validation"] * 2
    measured.clear()
    run.run_unit(Unit("smoke", "one", 0, ("null_space",), tuning=False), path)
    assert {split for split, *_ in measured} == {"test"}
    assert not any(r.get("expected_gap") for r in Records(path).read() if r["split"] == "test")


def test_each_request_neither_forgets_nor_retains_what_went_before():
    requests = run._Bench(Unit("smoke", "two", 0, METHODS, tuning=False)).requests
    for place, (task, own) in enumerate(zip(requests, TASKS["two"].requests, strict=True)):
        world = task.world
        retained = {world.concept(i).name for shown in task.retain.concepts for i in shown}
        assert retained.isdisjoint(TASKS["two"].requests[: place + 1])
        assert all(own in {world.concept(i).name for i in shown} for shown in task.forget.concepts)
