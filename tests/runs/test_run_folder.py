"""The run folder: what is in it, when it is whole, and what is never lost."""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import erasekit
from erasekit.errors import RunError, UsageError
from erasekit.runs.run_folder import RunFolder, describe, open_runs, run_erase, run_evaluate
from erasekit.settings import Settings, make_settings


@pytest.fixture
def settings(tiny: dict) -> Settings:
    return make_settings("smoke", **tiny)


@pytest.fixture
def copied(whole_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole_run, tmp_path / "run")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures cost seconds where they are not what is tested."""
    from erasekit.runs import figures

    monkeypatch.setattr(figures, "write_figures", lambda *_: [])


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_whole_run_has_every_file_and_nothing_else(whole_run: Path) -> None:
    names = {path.name for path in whole_run.iterdir() if path.name[0] != "."}
    assert names == {
        "params.json",
        "provenance.json",
        "history.csv",
        "scorecard.json",
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


def test_provenance_says_what_decided_the_numbers_and_names_nobody(whole_run: Path) -> None:
    import getpass
    import platform

    import torch

    from erasekit.models.clip import load_clip

    text = (whole_run / "provenance.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert record["packages"]["torch"] == torch.__version__.split("+")[0]
    assert record["python"] == platform.python_version()
    assert record["threads"] == 2
    assert record["device"] in ("cpu", "mps") or record["device"].startswith("cuda: ")
    assert record["seeds"] == {"seed": 0, "world_seed": 0}
    assert record["processor"]
    assert record["cores"] >= 1
    assert set(record["data"]) == {"spec", "drawings"}
    assert set(record["models"]) == {"original", "erased", "control", "oracle"}
    assert len(set(record["models"].values())) == 4
    assert record["models"]["erased"] == load_clip(whole_run / "model").fingerprint()
    for private in (platform.node(), str(Path.home()), str(whole_run), "/tmp"):
        assert private not in text
    assert f'"{getpass.getuser()}"' not in text


def test_commit_is_of_erasekit_and_of_no_other_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from erasekit.runs import provenance

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    package = tmp_path / "erasekit"
    package.mkdir()
    (package / "code.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(provenance, "_SOURCE", package)
    assert provenance._commit() == (None, None)  # no checkout at all
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    assert provenance._commit() == (git("rev-parse", "HEAD"), False)
    (package / "code.py").write_text("x = 2\n", encoding="utf-8")
    assert provenance._commit() == (git("rev-parse", "HEAD"), True)
    inner = tmp_path / "venv" / "site-packages" / "erasekit"
    inner.mkdir(parents=True)
    monkeypatch.setattr(provenance, "_SOURCE", inner)
    assert provenance._commit() == (None, None)  # installed inside another's checkout


def test_provenance_without_an_experiment_is_json() -> None:
    from erasekit.runs.provenance import provenance

    record = json.loads(json.dumps(provenance()))
    assert record["erasekit"] == erasekit.__version__
    assert "models" not in record
    assert len(record["code"]) == 64


def test_a_folder_that_holds_a_run_is_refused_and_stays_as_it_is(
    copied: Path, settings: Settings
) -> None:
    before = contents(copied)
    with pytest.raises(UsageError, match="already holds a run"):
        run_erase(settings, copied)
    assert contents(copied) == before


def test_overwrite_keeps_the_old_run_until_the_new_one_is_whole(
    copied: Path, tiny: dict, no_pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copied / "notes.ipynb").write_text("{}", encoding="utf-8")
    before = contents(copied)
    other = make_settings("smoke", **{**tiny, "steps": 2})

    from erasekit.experiment.clip_experiment import Experiment

    with monkeypatch.context() as patch:

        def fails(*_: object, **__: object) -> None:
            raise RunError("a fault in the middle")

        patch.setattr(Experiment, "evaluate", fails)
        with pytest.raises(RunError, match="a fault in the middle"):
            run_erase(other, copied, overwrite=True, control=False, progress=False)
    assert contents(copied) == before
    assert RunFolder.open(copied).params["steps"] == tiny["steps"]

    run_erase(other, copied, overwrite=True, control=False, progress=False)
    assert RunFolder.open(copied).params["steps"] == 2
    assert len(RunFolder.open(copied).history) == 2
    assert (copied / "notes.ipynb").is_file()  # not the run's to remove
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]


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


def test_scorecard_is_written_last(
    tmp_path: Path, settings: Settings, no_pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever of the data cannot be written, the folder is not taken for a whole run."""
    from erasekit.runs import figures, provenance

    def full(*_: object, **__: object) -> None:
        raise RunError("cannot write: No space left on device")

    for number, (module, name) in enumerate(
        [(figures, "write_figures"), (provenance, "provenance")]
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full)
            out = tmp_path / str(number)
            with pytest.raises(RunError, match="No space left"):
                run_erase(settings, out, oracle=False, control=False, progress=False)
        assert not RunFolder(out).whole


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path, settings: Settings) -> None:
    folder = RunFolder.create(tmp_path / "run", settings)
    hold = (
        "import sys, time; from pathlib import Path\n"
        "from erasekit.runs.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match="another run is at work"):
        run_erase(settings, folder.path, progress=False)
    other.communicate("")
    with folder.locked():
        pass


def test_evaluate_again_gives_the_same_rows_and_keeps_the_cost_of_erasing(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from erasekit.runs import figures

    drawn: list[tuple] = []
    monkeypatch.setattr(figures, "write_figures", lambda *given: drawn.append(given))
    before = RunFolder.open(copied).scorecard
    after = run_evaluate(copied, progress=False).scorecard
    assert after.rows == before.rows
    assert after.cost["erased"] == before.cost["erased"]
    [(folder, _, models, history, card)] = drawn
    assert folder == copied / "figures"
    assert set(models) == {"original", "erased", "control", "oracle"}
    assert history == RunFolder.open(copied).history
    assert card.as_dict()["rows"] == after.as_dict()["rows"]


def test_runs_of_one_name_are_told_apart(whole_run: Path, tmp_path: Path) -> None:
    for parent in ("a", "b"):
        shutil.copytree(whole_run, tmp_path / parent / "x")
    paths = [tmp_path / "a" / "x", tmp_path / "b" / "x"]
    assert list(open_runs(paths)) == [str(path) for path in paths]
    assert list(open_runs([paths[0], whole_run])) == ["x", "whole"]
    with pytest.raises(UsageError, match="two runs or more"):
        open_runs([paths[0], paths[0]])


def test_headline_is_the_scorecard_in_per_cent_and_points(whole_run: Path) -> None:
    from erasekit.runs.tables import headline, summary

    card = RunFolder.open(whole_run).scorecard
    table = headline(card)
    value = card.value("erased", "top1", "retain")
    assert table.loc["top1 retain", "erased"] == f"{100 * value:.1f} %"
    gap = 100 * (value - card.value("oracle", "top1", "retain"))
    assert table.loc["top1 retain", "gap"] == f"{gap:+.1f}"
    assert list(table.columns) == ["original", "erased", "control", "oracle", "gap"]
    assert f"average gap to the oracle: {card.average_gap():.1f} points" in summary(
        RunFolder(whole_run)
    )


def test_the_table_of_models_has_the_nearest_to_the_oracle_first(whole_run: Path) -> None:
    from erasekit.runs.tables import models_table

    card = RunFolder.open(whole_run).scorecard
    table = models_table(card)
    assert table.index[0] == "oracle"
    assert table["average gap"].is_monotonic_increasing
    assert table.loc["erased", "average gap"] == card.average_gap()
    assert table.loc["erased", "recall@1 retain"] == card.value("erased", "recall@1", "retain")
    assert list(table.columns)[-1] == "similarity holdout"


def test_comparison_names_each_run_and_leaves_the_gap_out_without_an_oracle(
    whole_run: Path, tmp_path: Path
) -> None:
    from erasekit.evaluate.scorecard import Scorecard
    from erasekit.runs.tables import comparison, comparison_text, write_comparison

    card = RunFolder.open(whole_run).scorecard
    alone = Scorecard(card.task, card.cost, [r for r in card.rows if r.model != "oracle"])
    cards = {"with": card, "without <oracle>": alone}
    table = comparison(cards)
    assert list(table.index) == list(cards)
    assert table.loc["with", "average gap"] == pytest.approx(card.average_gap(), abs=0.01)
    assert math.isnan(table.loc["without <oracle>", "average gap"])
    assert "–" in comparison_text(cards)
    page = write_comparison(cards, tmp_path / "out").read_text(encoding="utf-8")
    assert "without &lt;oracle&gt;" in page
    assert "http" not in page
    with (tmp_path / "out" / "compare.csv").open(encoding="utf-8", newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)] == list(cards)
