"""The benchmark itself, on a tiny world: tuned on validation, tested once, never run twice."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from support_bench import METHODS, SPACE, TASKS, make_tiny
from support_cluster import free_port, scheduler, worker

from erasekit.cli import app as cli
from erasekit.cluster import Workers
from erasekit.errors import RunError, UsageError
from erasekit.leaderboard import plan, records
from erasekit.leaderboard.clip_bench import ClipBench
from erasekit.leaderboard.plan import LANGUAGE
from erasekit.leaderboard.records import Records
from erasekit.leaderboard.run import Plan, Unit, best_trial, run_benchmark
from erasekit.profiles import PROFILES


@pytest.fixture(scope="module", autouse=True)
def tiny_bench():
    with pytest.MonkeyPatch.context() as patch:
        make_tiny(patch)
        yield


@pytest.fixture(scope="module")
def done(tiny_bench, tmp_path_factory) -> Records:
    path = tmp_path_factory.mktemp("bench") / "r.jsonl"
    run_benchmark(
        "smoke", METHODS, ["two", "inside"], [0], path, workers=Workers(1), progress=False
    )
    return run_benchmark(
        "smoke", METHODS, ["one"], [0, 1], path, workers=Workers(1), progress=False
    )


def chosen(records: Records, **what) -> list[dict]:
    return [r for r in records.read() if all(r[k] == v for k, v in what.items())]


def without(records: Records, folder: Path, *methods: str) -> Path:
    """A copy of records that lacks some methods of the first task."""
    lines = records.path.read_text(encoding="utf-8").splitlines(keepends=True)
    gone = [
        json.loads(line)["task"] == "one" and json.loads(line)["method"] in methods
        for line in lines
    ]
    path = folder / "r.jsonl"
    path.write_text(
        "".join(line for line, out in zip(lines, gone, strict=True) if not out), encoding="utf-8"
    )
    return path


def test_every_trial_is_tried_on_validation_and_one_is_tested_a_seed(done: Records):
    for task in TASKS:
        for method in METHODS:
            trials = chosen(done, task=task, method=method, split="validation")
            assert [r["trial"] for r in trials] == list(SPACE[method])
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
    erase = ClipBench.erase
    monkeypatch.setattr(
        ClipBench,
        "erase",
        lambda self, model, name, *rest: made.append(name) or erase(self, model, name, *rest),
    )
    run_benchmark("smoke", METHODS, list(TASKS), [0], path, workers=Workers(1), progress=False)
    again = run_benchmark(
        "smoke", METHODS, ["one"], [0, 1], path, workers=Workers(1), progress=False
    )
    assert made == ["null_space"]
    before = {r["key"]: r["metrics"] for r in done.read()}
    assert {r["key"]: r["metrics"] for r in again.read()} == before, "recomputed, it is the same"


def test_a_method_that_fails_is_written_down_and_stops_nothing(done, tmp_path, monkeypatch):
    def broken(self, *given):
        raise RunError("the loss is nan")

    path = without(done, tmp_path, "null_space", "oracle-0")
    monkeypatch.setattr(ClipBench, "erase", broken)
    records = run_benchmark(
        "smoke", ("null_space",), ["one"], [0], path, workers=Workers(1), progress=False
    )
    failed = chosen(records, task="one", method="null_space")
    assert len(failed) == len(SPACE["null_space"]) + 1
    assert all("the loss is nan" in r["failed"] for r in failed)
    assert chosen(records, task="one", method="oracle-0")[0]["metrics"]


def test_what_fails_besides_a_method_is_no_result(done, tmp_path, monkeypatch):
    def full(self):
        raise RunError("cannot write the cache")

    path = without(done, tmp_path, "original", "oracle-0", "oracle-1", "oracle-2")
    monkeypatch.setattr(ClipBench, "oracles", property(full))
    with pytest.raises(RunError, match="cannot write the cache"):
        run_benchmark(
            "smoke", ("null_space",), ["one"], [0], path, workers=Workers(1), progress=False
        )
    found = chosen(Records(path), task="one")
    assert not any(r["method"].startswith(("oracle", "original")) for r in found)


def test_the_best_trial_has_the_least_expected_gap_and_none_is_needed():
    unit = Unit("smoke", "one", 1, ("null_space",), tuning=False)
    tuning = dataclasses.replace(unit, seed=0, tuning=True)
    keys = list(tuning.wanted(()))
    found = [
        {"key": keys[0], "expected_gap": 9.0},
        {"key": keys[1], "expected_gap": 3.0},
    ]
    assert best_trial(unit, "null_space", found) == SPACE["null_space"][1]
    found[1]["expected_gap"] = None  # it failed
    assert best_trial(unit, "null_space", found) == SPACE["null_space"][0]
    assert best_trial(unit, "null_space", []) == SPACE["null_space"][0]


def test_a_method_is_tested_once_its_tuning_is_whole(tmp_path):
    test = Unit("smoke", "one", 0, ("null_space",), tuning=False)
    records, tested = Records(tmp_path / "r.jsonl"), []
    for key in dataclasses.replace(test, tuning=True).wanted(()):
        records.append({"key": key, "expected_gap": 1.0})
        missing = Plan([test], records).missing(test).values()
        tested.append("null_space" in {what["method"] for what in missing})
    assert tested == [False, True]


def test_a_method_without_trials_is_tried_once_with_its_defaults(monkeypatch):
    unit = Unit("smoke", "one", 0, ("salun", "null_space"), tuning=True)
    tried = [(what["method"], what["trial"]) for what in unit.wanted(()).values()]
    assert tried == [("salun", {"options": {}}), *(("null_space", t) for t in SPACE["null_space"])]


def test_a_key_is_of_all_that_was_asked_and_of_the_code_that_makes_it(monkeypatch):
    """Of the task itself, and of the bench and the method; of no other part of the leaderboard."""
    unit = Unit("smoke", "one", 0, METHODS, tuning=True)
    (key, what), *_ = unit.wanted(()).items()
    assert unit.key({**what, "metrics": {}, "key": "another"}) == key
    others = [{"seed": 1}, {"trial": {"options": {}}}, {"split": "test"}, {"method": "npo"}]
    assert key not in {unit.key({**what, **other}) for other in others}
    for change in ({"requests": ("red apple",)}, {"scenes_only": True}):
        changed = dataclasses.replace(TASKS["one"], **change)
        monkeypatch.setattr(plan, "tasks_of", lambda profile, task=changed: {"one": task})
        assert unit.key(what) != key
    monkeypatch.setattr(plan, "tasks_of", lambda profile: TASKS)
    monkeypatch.setitem(PROFILES, "smoke", {**PROFILES["smoke"], "draws": 11})
    assert unit.key(what) == key, "draws move intervals only"
    seen: list[tuple] = []
    monkeypatch.setattr(records, "code_identity", lambda *names: seen.append(names) or {})
    assert unit.key({**what, "method": "salun"}) != key
    unit.key({**what, "method": "oracle-0"})
    language = Unit("smoke", "fruit", 0, (), tuning=True, kind=LANGUAGE)
    language.key({**what, "forget": "fruit", "method": "npo"})
    bench = "erasekit.leaderboard.clip_bench"
    assert seen == [
        (bench, "erasekit.unlearn.methods.salun"),
        (bench,),
        ("erasekit.leaderboard.answer_bench", "erasekit.unlearn.methods.npo"),
    ]


def test_the_command_runs_it_and_prints_the_gaps(done: Records, tmp_path: Path, capsys):
    path = tmp_path / "r.jsonl"
    path.write_bytes(done.path.read_bytes())
    given = ["--methods", "null_space", "--tasks", "one,two", "--seeds", "0"]
    code = cli.run(
        ["benchmark", *given, "--profile", "smoke", "--out", str(path), "--workers", "1"]
    )
    printed = capsys.readouterr().out
    assert code == 0
    assert "null_space" in printed
    assert "oracle (floor)" in printed
    assert f"results: {path}" in printed


def test_a_dry_run_runs_nothing_and_says_what_is_left(done: Records, tmp_path: Path, capsys):
    path = tmp_path / "r.jsonl"
    lines = done.path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")
    words = ["--tasks", "one", "--seeds", "0,1", "--profile", "smoke", "--out", str(path)]
    words += ["--methods", ",".join(METHODS), "--workers", "1", "--dry-run"]
    assert cli.run(["leaderboard", "run", *words]) == 0
    printed = capsys.readouterr().out
    assert "18 results: 17 are there, 1 to make" in printed
    assert "to make: one seed 1 test gradient_difference" in printed
    assert f"by {len(lines) - 1} past runs" in printed
    assert path.read_text(encoding="utf-8") == "".join(lines[:-1])


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


def test_a_second_program_is_refused(done: Records):
    with done.locked(), pytest.raises(UsageError, match=r"another run is at work in \S+r.jsonl"):
        run_benchmark("smoke", METHODS, ["one"], [0], done.path, progress=False)


def test_a_running_cluster_gives_the_same_and_what_is_there_is_kept_after_ctrl_c(
    done: Records, tmp_path, capsys, monkeypatch
):
    """By the command line, on a scheduler and a worker that somebody started."""
    pytest.importorskip("distributed")
    path, append, at_once = tmp_path / "r.jsonl", Records.append, []
    words = ["leaderboard", "run", "--profile", "smoke", "--methods", "null_space"]
    words += ["--tasks", "one", "--seeds", "0", "--out", str(path)]

    def stopped(records: Records, record: dict) -> None:
        append(records, record)
        if len(records.read()) == 3:
            at_once.append(cli.run([*words, "--workers", "1"]))
            raise KeyboardInterrupt

    port = free_port()
    with scheduler(port), worker(port, "--preload", "support_bench"):
        team = ["--scheduler", f"tcp://127.0.0.1:{port}"]
        with monkeypatch.context() as patch:
            patch.setattr(Records, "append", stopped)
            assert cli.run([*words, *team]) == 130
        told = capsys.readouterr().err
        assert at_once == [2]
        assert "another run is at work" in told
        assert told.splitlines()[-1].startswith("interrupted: the same command")
        assert "Traceback" not in told
        assert cli.run([*words, "--dry-run", *team]) == 0
        assert "8 results: 3 are there, 5 to make" in capsys.readouterr().out
        kept = path.read_text(encoding="utf-8")
        assert cli.run([*words, *team]) == 0
    assert path.read_text(encoding="utf-8").startswith(kept)
    alone = {r["key"]: (r["metrics"], r.get("expected_gap")) for r in done.read()}
    made = Records(path).read()
    assert len({r["key"] for r in made}) == len(made) == 8
    assert all(alone[r["key"]] == (r["metrics"], r.get("expected_gap")) for r in made)
    assert all(r["took"] > 0 for r in made)
