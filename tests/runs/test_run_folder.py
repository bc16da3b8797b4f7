"""The run folder: what is in it, when it is whole, and what is never lost."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

import erasekit
from erasekit.errors import RunError, UsageError
from erasekit.runs.run_folder import RunFolder, describe, open_runs
from erasekit.settings import Settings, make_settings


def test_a_whole_run_has_every_file_and_nothing_else(whole_run: Path) -> None:
    names = {path.name for path in whole_run.iterdir() if path.name[0] != "."}
    assert names == {
        "params.json",
        "provenance.json",
        "history.csv",
        "scorecard.json",
        "manifest.json",
        "model",
        "figures",
        "report.html",
    }
    assert {path.name for path in (whole_run / "model").iterdir()} == {
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    pictures = list((whole_run / "figures").iterdir())
    assert len(pictures) >= 7
    assert all(picture.read_bytes()[:4] == b"\x89PNG" for picture in pictures)


def test_params_are_all_that_took_effect_and_make_the_same_settings(
    whole_run: Path, settings: Settings
) -> None:
    folder = RunFolder.open(whole_run)
    assert folder.params == describe(settings)
    assert folder.params["options"]["forgetting"] == 3.0  # not given: the method's own default
    assert folder.params["oracle"] is True
    assert describe(folder.settings) == describe(settings)
    assert set(vars(settings)) <= set(folder.params)


def test_history_has_every_term_at_every_step(whole_run: Path, tiny: dict) -> None:
    history = RunFolder.open(whole_run).history
    assert [row["step"] for row in history] == list(range(tiny["steps"]))
    for row in history:
        terms = row["forgetting"] + row["retention"] + row["consistency"]
        assert row["loss"] == pytest.approx(terms, abs=1e-5)


def test_scorecard_has_the_format_of_the_design(whole_run: Path) -> None:
    card = json.loads((whole_run / "scorecard.json").read_text(encoding="utf-8"))
    assert list(card) == ["version", "task", "cost", "rows"]
    assert card["version"] == 1
    assert {row["model"] for row in card["rows"]} == {"original", "erased", "control", "oracle"}
    assert {row["subset"] for row in card["rows"]} == {
        "forget",
        "neighbours",
        "retain",
        "holdout",
    }
    for row in card["rows"]:
        assert list(row) == [
            "model",
            "metric",
            "subset",
            "direction",
            "value",
            "low",
            "high",
            "n",
        ]
        assert all(math.isfinite(row[key]) for key in ("value", "low", "high"))
    assert {"original", "erased", "control", "oracle"} == set(card["cost"])
    assert all(cost["seconds"] >= 0 and cost["steps"] > 0 for cost in card["cost"].values())


def test_the_saved_model_is_the_one_that_was_measured(whole_run: Path, settings: Settings) -> None:
    experiment = erasekit.Experiment(settings, progress=False)
    loaded = RunFolder.open(whole_run).load_erasure(experiment)
    again = experiment.evaluate({"erased": loaded}, oracle=False)
    saved = RunFolder.open(whole_run).scorecard
    for row in again.rows:
        if row.model == "erased":
            value = saved.value("erased", row.metric, row.subset, row.direction)
            assert value == pytest.approx(row.value, abs=1e-6)


def test_an_interrupted_run_is_no_run_and_other_parameters_do_not_go_on_with_it(
    copied: Path, tiny: dict, settings: Settings
) -> None:
    (copied / "scorecard.json").unlink()
    with pytest.raises(RunError, match=r"interrupted run \(no scorecard.json\)"):
        RunFolder.open(copied)
    other = make_settings("smoke", **{**tiny, "steps": 7})
    with pytest.raises(UsageError, match=r"of other parameters.*steps is 3 there"):
        RunFolder.create(copied, other)
    assert (copied / "model").is_dir()
    assert RunFolder.create(copied, settings).params == describe(settings)
    assert RunFolder.create(copied, other, overwrite=True).params["steps"] == 7
    assert not (copied / "model").exists()


def test_runs_of_one_name_are_told_apart(whole_run: Path, tmp_path: Path) -> None:
    for parent in ("a", "b"):
        shutil.copytree(whole_run, tmp_path / parent / "x")
    paths = [tmp_path / "a" / "x", tmp_path / "b" / "x"]
    assert list(open_runs(paths)) == [str(path) for path in paths]
    assert list(open_runs([paths[0], whole_run])) == ["x", "whole"]
    with pytest.raises(UsageError, match="two runs or more"):
        open_runs([paths[0], paths[0]])
