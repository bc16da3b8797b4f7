"""Bad input and bad luck: a clear line, the right exit code, and nothing lost.

Misuse of the command line that needs no torch to be found is in `cli/test_app.py`.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import erasekit
from erasekit.cache import MANIFEST
from erasekit.cli import app as cli
from erasekit.errors import UsageError
from erasekit.runs.erasing import run_erase
from erasekit.runs.manifest import write_manifest
from erasekit.runs.run_folder import RunFolder
from erasekit.settings import make_settings

WEIGHTS = "open_clip_model.safetensors"


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures cost seconds and are not what is tested here."""
    from erasekit.runs import figures

    monkeypatch.setattr(figures, "write_figures", lambda *_: [])


@pytest.fixture
def arguments(tiny: dict) -> list[str]:
    """The tiny world as command-line arguments, without oracle and control."""
    sets = [part for name, value in tiny.items() for part in ("--set", f"{name}={value}")]
    return ["--profile", "smoke", *sets, "--no-oracle", "--no-control"]


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error, without its ``error: ``."""
    lines = [ln for ln in capsys.readouterr().err.splitlines() if not ln.startswith("warning:")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: what a full disk is to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# What is asked for in Python is refused in the same words as on the command line.


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"forget": "fruti"}, "did you mean 'fruit'"),
        ({"forget": " , "}, "forget is empty"),
        ({"forget": "edible=yes,edible=no"}, "at least 4 must stay"),
        ({"forget_languages": "de"}, "choose from en, ja, ru, ar"),
        ({"method": "cliprase"}, "did you mean 'cliperase'"),
        ({"options": {"retension": 1}}, "did you mean 'retention'"),
        ({"options": {"forgetting": -3}}, "must be 0 or more"),
        ({"stpes": 3}, "did you mean 'steps'"),
        ({"steps": "three"}, "must be a whole number"),
        ({"device": "tpu"}, "one of auto, cpu, cuda, mps"),
        ({"seed": -1}, "must be 0 or more"),
        ({"learning_rate": float("nan")}, "must be a number"),
    ],
)
def test_python_callers_are_told_what_to_change(given: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        erasekit.load("smoke", progress=False, **given)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_a_forget_set_without_a_single_caption_is_said_before_training(
    empty_cache: Path, tmp_path: Path, tiny: dict
) -> None:
    """With one picture a concept, some concept is not told of in some language."""
    sparse = {**tiny, "pictures": 1, "scenes": 0}
    world = erasekit.load("smoke", progress=False, **sparse).world
    told = {(world.concept(s.concepts[0]).name, s.language) for s in world.samples("train")}
    name, language = next(
        (world.concept(i).name, language)
        for i in world.trained
        for language in world.spec.languages
        if (world.concept(i).name, language) not in told
    )
    settings = make_settings("smoke", **sparse, forget=name, forget_languages=language)
    with pytest.raises(UsageError, match=f"forget set is empty.*{language} mentions {name}"):
        run_erase(settings, tmp_path / "run", progress=False)
    assert not list(empty_cache.glob("original*"))


def test_cuda_where_there_is_none(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "run"
    assert cli.run(["erase", "--out", str(out), *arguments, "--device", "cuda"]) == 1
    assert said(capsys) == (
        "device 'cuda' was asked for, but there is none here: use device 'auto'"
    )
    assert not RunFolder(out).whole


def test_a_loss_that_is_not_finite_stops_keeps_the_last_good_state_and_goes_on_from_it(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["erase", "--out", str(out), *arguments, "--learning-rate", "1e30"]
    assert cli.run(command) == 1
    first = said(capsys)
    assert first.startswith("erasing with cliperase stopped at step ")
    assert "The state after step 1 is kept" in first
    assert "Lower the learning rate" in first
    assert not RunFolder(out).whole
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    assert state["steps"] == 1
    assert all(torch.isfinite(v).all() for v in state["model"].values() if v.is_floating_point())
    assert cli.run(command) == 1  # resumed, it meets the same step again
    assert said(capsys) == first
    assert cli.run([*command[:-1], "1e-4"]) == 2
    assert "learning_rate is 1e+30 there" in said(capsys)
    assert cli.run([*command[:-1], "1e-4", "--overwrite"]) == 0
    assert RunFolder(out).whole


def test_a_file_in_the_place_of_a_folder(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    assert cli.run(["erase", "--out", str(file), *arguments]) == 2
    assert said(capsys) == f"{file} is a file: give a folder to write the run to"
    assert cli.run(["erase", "--out", str(file / "run"), *arguments]) == 1
    assert "cannot write" in said(capsys)
    assert file.read_text(encoding="utf-8") == "mine"


def test_a_folder_of_other_things_is_left_alone(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    for more in ([], ["--overwrite"]):
        assert cli.run(["erase", "--out", str(tmp_path), *arguments, *more]) == 2
        assert "files that are not a run" in said(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_trained(
    empty_cache: Path,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import tempfile

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert cli.run(["erase", "--out", str(tmp_path / "run"), *arguments]) == 1
    assert "Read-only file system" in said(capsys)
    assert not empty_cache.exists()


@pytest.mark.parametrize("size", [200, 30_000])
def test_a_disk_that_fills_up_leaves_no_half_run_and_the_run_goes_on_later(
    size: int,
    arguments: list[str],
    tiny_experiment,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With 200 bytes params.json does not fit; with 30,000 the model does not."""
    _ = tiny_experiment.original_folder  # in the cache already: it is the run that must fail
    out = tmp_path / "run"
    command = ["erase", "--out", str(out), *arguments]
    with largest_file(size):
        assert cli.run(command) == 1
    assert "File too large" in said(capsys)
    assert not RunFolder(out).whole
    assert not list(out.rglob(".*.??????*"))  # no half file is left either
    assert cli.run(command) == 0
    assert RunFolder.open(out).history


def test_a_disk_that_fills_up_while_training_leaves_no_cache_entry(
    empty_cache: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["erase", "--out", str(tmp_path / "run"), *arguments]
    with largest_file(100_000):
        assert cli.run(command) == 1
    assert "File too large" in said(capsys)
    assert [p for p in empty_cache.glob("original-*") if (p / MANIFEST).exists()] == []
    assert cli.run(command) == 0


# Damaged and foreign folders.


@pytest.fixture
def copied(whole_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole_run, tmp_path / "run")


def cut_weights(run: Path) -> None:
    path = run / "model" / WEIGHTS
    path.write_bytes(path.read_bytes()[:1000])


def flip_weight(run: Path) -> None:
    path = run / "model" / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-100] ^= 1  # a damage that safetensors itself does not see
    path.write_bytes(content)


def lose_weights(run: Path) -> None:
    (run / "model" / WEIGHTS).unlink()


def break_config(run: Path) -> None:
    (run / "model" / "open_clip_config.json").write_text("{", encoding="utf-8")


def foreign_config(run: Path) -> None:
    (run / "model" / "open_clip_config.json").write_text('{"hello": 1}', encoding="utf-8")


def lose_tokenizer(run: Path) -> None:
    (run / "model" / "tokenizer.json").write_text("{}", encoding="utf-8")


def break_scorecard(run: Path) -> None:
    (run / "scorecard.json").write_text('{"version": 1}', encoding="utf-8")


def later_scorecard(run: Path) -> None:
    (run / "scorecard.json").write_text('{"version": 99}', encoding="utf-8")


def break_params(run: Path) -> None:
    (run / "params.json").write_text("[1, 2", encoding="utf-8")


def foreign_params(run: Path) -> None:
    params = json.loads((run / "params.json").read_text(encoding="utf-8"))
    (run / "params.json").write_text(json.dumps({**params, "wings": 2}), encoding="utf-8")


def break_history(run: Path) -> None:
    (run / "history.csv").write_text("step,loss\nzero,none\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_weights, "cannot be loaded"),
        (flip_weight, "is not the model that this run made"),
        (lose_weights, f"{WEIGHTS} is missing"),
        (break_config, "not valid JSON"),
        (foreign_config, "cannot be loaded"),
        (lose_tokenizer, "cannot be loaded"),
        (break_scorecard, "scorecard.json is not of this run"),
        (later_scorecard, "scorecard.json is not of this run"),
        (break_params, "params.json is not of this run"),
        (foreign_params, "wings is 2 there"),
        (break_history, "history.csv cannot be read"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_run_folder_is_named_with_what_is_wrong(
    damage, words: str, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the manifest, and where somebody has written a new one, by what cannot be read."""
    damage(copied)
    assert cli.run(["evaluate", str(copied)]) == 2
    assert "since the run was made" in said(capsys)
    write_manifest(copied)
    assert cli.run(["evaluate", str(copied)]) in (1, 2)
    line = said(capsys)
    assert words in line
    assert str(copied) in line


def test_a_folder_that_holds_no_model(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [word for word in arguments if word != "--no-control"]
    assert cli.run(["evaluate", "--model", str(tmp_path), *sets]) == 1
    assert (
        "is not a model folder of open_clip or transformers: open_clip_config.json is missing"
        in said(capsys)
    )
