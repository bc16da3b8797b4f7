"""`erase`, `evaluate`, `report` and `compare`: a run from the first command to the last."""

from __future__ import annotations

import base64
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support_cli import tiny_arguments
from support_tiny import TINY_LANGUAGE

from erasekit.certificate.certificate import stated
from erasekit.cli import app as cli
from erasekit.runs import figures


def test_erase_by_command_writes_a_whole_run_and_ends_with_its_report(
    tiny: dict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(figures, "write_figures", lambda *_: [])  # they cost seconds
    out = tmp_path / "run"
    asked = ["erase", "--forget", "bird", "--out", str(out), *tiny_arguments(tiny)]
    assert cli.run([*asked, "--no-control"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"report: {out / 'report.html'}"
    assert (out / "report.html").is_file()
    header = next(line for line in lines if "original" in line)
    assert header.split() == ["original", "erased", "oracle", "gap"]
    card = json.loads((out / "scorecard.json").read_text(encoding="utf-8"))
    top1 = {
        row["model"]: row["value"]
        for row in card["rows"]
        if (row["metric"], row["subset"]) == ("top1", "retain")
    }
    shown = next(line for line in lines if line.startswith("top1 retain"))
    assert shown.split()[2::2][:3] == [f"{100 * top1[m]:.1f}" for m in header.split()[:3]]


@pytest.mark.slow
def test_ctrl_c_in_the_middle_is_resumed_to_the_same_bits(
    tiny: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "stopped", tmp_path / "whole"
    common = [*tiny_arguments(tiny, steps=40), "--no-control", "--no-oracle"]
    process = subprocess.Popen(
        [sys.executable, "-m", "erasekit.cli.app", "erase", "--out", str(out), *common],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    deadline = time.monotonic() + 100
    while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert stderr.splitlines()[-1].startswith("interrupted: the same command")
    assert "Traceback" not in stderr
    assert not (out / "scorecard.json").exists()  # not to be taken for a whole run
    assert cli.run(["report", str(out)]) == 1

    monkeypatch.setattr(figures, "write_figures", lambda *_: [])  # they cost seconds
    reached = torch.load(out / "checkpoint.pt", weights_only=True)["steps"]
    assert 10 <= reached < 40

    assert cli.run(["erase", "--out", str(out), *common]) == 0
    assert not (out / "checkpoint.pt").exists()
    assert cli.run(["erase", "--out", str(whole), *common]) == 0
    weights = Path("model/open_clip_model.safetensors")
    assert (out / weights).read_bytes() == (whole / weights).read_bytes()
    assert (out / "history.csv").read_bytes() == (whole / "history.csv").read_bytes()
    with (out / "history.csv").open(encoding="utf-8", newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(40))


def test_evaluate_and_report_by_command(
    whole_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(figures, "write_figures", lambda *_: [])  # they cost seconds
    run = tmp_path / "run"
    shutil.copytree(whole_run, run)
    before = json.loads((run / "scorecard.json").read_text(encoding="utf-8"))
    (run / "report.html").unlink()
    assert cli.run(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"report: {run / 'report.html'}\n"
    assert (run / "report.html").is_file()
    assert cli.run(["evaluate", str(run)]) == 0
    after = json.loads((run / "scorecard.json").read_text(encoding="utf-8"))
    assert after["rows"] == before["rows"]
    assert after["task"] == before["task"]


def test_evaluate_any_model_folder_on_a_task(
    whole_run: Path, tiny: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_ = tiny_arguments(tiny)
    model, out = whole_run / "model", tmp_path / "card.json"
    sets = [*tiny_[:2], *tiny_[4:], "--set", f"steps={tiny['steps']}"]
    assert cli.run(["evaluate", "--model", str(model), "--out", str(out), *sets]) == 0
    assert str(out) in capsys.readouterr().out
    alone = {
        tuple(row.values())
        for row in json.loads(out.read_text(encoding="utf-8"))["rows"]
        if row["model"] == "erased"
    }
    card = json.loads((whole_run / "scorecard.json").read_text(encoding="utf-8"))
    assert alone == {tuple(row.values()) for row in card["rows"] if row["model"] == "erased"}


@pytest.mark.slow
def test_a_language_model_from_erase_to_verify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every verb that there is for a CLIP's run; those that cannot apply say so in one line."""
    out = tmp_path / "run"
    given = ["--kind", "language", *tiny_arguments(TINY_LANGUAGE)]
    asked = ["erase", "--forget", "fruit", "--method", "gradient_difference", "--no-control"]
    assert cli.run([*asked, "--out", str(out), *given]) == 0
    assert "accuracy:name forget seen" in capsys.readouterr().out
    card = json.loads((out / "scorecard.json").read_text(encoding="utf-8"))
    assert {row["model"] for row in card["rows"]} == {"original", "erased", "oracle"}
    drawn = {path.stem for path in (out / "figures").glob("*.png")}
    assert drawn == {"forget_retain", "seen_and_known", "answers", "loss_terms"}
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "from a language model</h1>" in page
    assert "right names, forget, seen" in page

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "write_figures", lambda *_: [])  # they cost seconds
        assert cli.run(["evaluate", str(out)]) == 0
    assert json.loads((out / "scorecard.json").read_text(encoding="utf-8"))["rows"] == card["rows"]
    tests = ["answer_wordings", "answer_probes"]
    assert cli.run(["audit", str(out), "--no-oracle", "--tests", ",".join(tests)]) == 0
    audit = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    assert [test["name"] for test in audit["tests"]] == tests
    assert (out / "figures" / "audit_values_answer_probes.png").is_file()
    assert cli.run(["report", str(out)]) == 0
    assert cli.run(["certify", str(out), "--policy", "language"]) in (0, 1)
    envelope = json.loads((out / "certificate.json").read_text(encoding="utf-8"))
    certificate = stated(base64.b64decode(envelope["payload"]))
    results = {one["id"]: one["result"] for one in certificate["criteria"]}
    assert {name for name, result in results.items() if result == "not tested"} == {"relearning"}
    assert [test["name"] for test in certificate["not_tested"]] == ["answer_relearning"]
    assert cli.run(["verify", str(out)]) == 0
    capsys.readouterr()
    for arguments, words in (
        (["export", str(out), "--out", str(tmp_path / "x")], "export writes CLIPs"),
        (["audit", str(out), "--tests", "relearning"], "relearning is a test of kind = clip"),
        (["audit", "--known-answers", "--kind", "language"], "for kind = clip alone"),
        (["evaluate", "--model", str(tmp_path / "none"), *given[:4]], "is not a folder"),
    ):
        capsys.readouterr()
        assert cli.run(arguments) == 2
        said = capsys.readouterr().err.splitlines()
        assert words in said[-1] and said[-1].startswith("error: ")


def test_compare_by_command(
    whole_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole_run, tmp_path / "a")
    shutil.copytree(whole_run, tmp_path / "b")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "params.json").write_text("{}", encoding="utf-8")
    runs = [str(tmp_path / name) for name in ("a", "b", "unfinished")]
    assert cli.run(["compare", *runs, "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0].split() == ["a", "b"]
    assert "passed over" in shown.err
    assert "unfinished" in shown.err
    with (tmp_path / "out" / "compare.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["a", "b"]
    card = json.loads((tmp_path / "a" / "scorecard.json").read_text(encoding="utf-8"))
    similarity = next(
        row["value"]
        for row in card["rows"]
        if (row["model"], row["metric"], row["subset"]) == ("erased", "similarity", "forget")
    )
    assert float(rows[0]["similarity forget"]) == pytest.approx(similarity, abs=1e-4)
    assert (tmp_path / "out" / "compare.png").read_bytes()[:4] == b"\x89PNG"
    page = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert "2 runs compared" in page
    assert "data:image/png" in page
    assert cli.run(["compare", runs[0], runs[2]]) == 2
    assert "two runs or more" in capsys.readouterr().err
