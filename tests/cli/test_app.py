"""The command line as a person meets it: as a process, by its exit code and its words."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import erasekit
from erasekit.cli import app as cli

#: Asks the command line many things in one process, torch-free as long as all are misuse.
PROBE = """
import contextlib, io, json, sys
from erasekit.cli.app import run
answers = {}
for case, arguments in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    answers[case] = [code, out.getvalue(), err.getvalue(), "torch" in sys.modules]
json.dump(answers, sys.stdout)
"""


def ask(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process."""
    return subprocess.run(
        [sys.executable, "-m", "erasekit.cli.app", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        check=False,
    )


def tiny_arguments(tiny: dict, **more: object) -> list[str]:
    """The tiny world as command-line arguments."""
    given = {**tiny, **more}
    steps = given.pop("steps")
    sets = [part for name, value in given.items() for part in ("--set", f"{name}={value}")]
    return ["--profile", "smoke", "--steps", str(steps), *sets]


MISUSE = {
    "unknown group": (["--forget", "fruti"], "did you mean 'fruit'?"),
    "unknown concept": (["--forget", "red aple"], "did you mean 'red apple'?"),
    "unknown attribute": (["--forget", "colour=rad"], "did you mean 'colour=red'?"),
    "holdout is not trained": (["--forget", "instrument"], "unknown concept or group"),
    "empty forget set": (["--forget", ""], "forget is empty"),
    "everything forgotten": (["--forget", "edible=yes,edible=no"], "at least 4 must stay"),
    "unknown forget language": (["--forget-languages", "de"], "choose from en, ja, ru, ar"),
    "unknown language": (["--set", "languages=en,tlh"], "'tlh' has no names"),
    "unknown method": (["--method", "clipreaser"], "did you mean 'cliperase'?"),
    "unknown option": (["--option", "consistensy=1"], "did you mean 'consistency'?"),
    "option without value": (["--option", "consistency"], "write NAME=VALUE"),
    "option twice": (["--option", "scaled=true", "--option", "scaled=false"], "given twice"),
    "option of wrong type": (["--option", "scaled=perhaps"], "must be true or false"),
    "option out of choices": (["--option", "product=cross"], "not one of cosine, dot"),
    "negative weight": (["--option", "forgetting=-1"], "must be 0 or more"),
    "weight that is not finite": (["--option", "forgetting=inf"], "must be 0 or more, and finite"),
    "unknown profile": (["--profile", "smoek"], "did you mean 'smoke'?"),
    "profile to come": (["--profile", "paper"], "'default'"),
    "unknown parameter": (["--set", "pictues=4"], "did you mean 'pictures'?"),
    "parameter twice": (["--steps", "3", "--set", "steps=4"], "given twice"),
    "wrong type": (["--steps", "many"], "must be a whole number"),
    "fraction of a step": (["--steps", "2.5"], "must be a whole number"),
    "no steps": (["--steps", "0"], "must be above 0"),
    "learning rate not finite": (["--learning-rate", "inf"], "must be a number"),
    "too small a world": (["--set", "concepts=3"], "from 8 to"),
    "no pictures": (["--set", "pictures=0"], "must be at least 1"),
    "no draws": (["--set", "draws=0"], "must be at least 1"),
    "unknown data set": (["--data", "openmojo"], "did you mean 'openmoji'?"),
    "unknown model": (["--set", "model=erasekit-smal"], "did you mean 'erasekit-small'?"),
    "unknown device": (["--device", "gpu"], "one of auto, cpu, cuda, mps"),
    "unknown precision": (["--precision", "fp8"], "one of auto, fp32, bf16"),
    "unknown flag": (["--stpes", "3"], "--steps"),
}


COMMAND_MISUSE = {
    "unknown command": (["ersae"], "erase"),
    "no folder": (["erase"], "--out"),
    "unknown listing": (["list", "metods"], "did you mean 'methods'?"),
    "all of methods": (["list", "methods", "--all"], "concepts only"),
    "evaluate nothing": (["evaluate"], "--model FOLDER"),
    "evaluate both": (["evaluate", "run", "--model", "m"], "not both"),
    "evaluate with a task": (
        ["evaluate", "run", "--forget", "fruit"],
        "--forget goes with --model",
    ),
    "evaluate what is not there": (["evaluate", "run"], "run is no folder"),
    "evaluate a model not there": (["evaluate", "--model", "m"], "m does not exist"),
    "evaluate a misspelt model": (
        ["evaluate", "--model", "ViT-B-23:openai"],
        "did you mean 'ViT-B-32'?",
    ),
    "audit a model without weights": (
        ["audit", "--model", "ViT-B-32"],
        "without weights: write ViT-B-32:TAG",
    ),
    "audit nothing": (["audit"], "--known-answers"),
    "audit what is not there": (["audit", "run"], "run is no folder"),
    "audit with a task": (["audit", "run", "--forget", "fruit"], "--forget goes with --model"),
    "audit by a test unknown": (["audit", "run", "--tests", "proebs"], "did you mean 'probes'?"),
    "audit a model not there": (["audit", "--model", "m"], "m does not exist"),
    "audit beside a model not there": (
        ["audit", "--model", ".", "--original", "m"],
        "m does not exist",
    ),
    "compare what is not there": (["compare", "a", "b"], "a is no folder"),
    "export of nothing": (["export", "run", "--out", "given"], "run is no folder"),
    "export to no hub": (
        ["export", "run", "--out", "given", "--push", "org/name"],
        "write hf-hub:ORG/NAME",
    ),
    "public nowhere": (["export", "run", "--out", "given", "--public"], "goes with --push only"),
    "report of nothing": (["report", "run"], "run is no folder"),
    "tutorial of no profile": (["tutorial", "--profile", "smoek"], "did you mean 'smoke'?"),
    "reference of a part": (["tutorial", "--only", "03", "--write-reference"], "leave --only out"),
}


CASES = {name: ["erase", "--out", "run", *given] for name, (given, _) in MISUSE.items()} | {
    name: given for name, (given, _) in COMMAND_MISUSE.items()
}
WORDS = {name: words for name, (_, words) in (MISUSE | COMMAND_MISUSE).items()}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    folder = tmp_path_factory.mktemp("misuse")
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps(CASES),
        capture_output=True,
        text=True,
        cwd=folder,
        check=True,
    )
    assert list(folder.iterdir()) == []  # misuse leaves nothing behind
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", CASES)
def test_misuse_gets_one_line_and_code_2_before_torch_is_loaded(
    case: str, answers: dict[str, list]
) -> None:
    code, out, err, torch_loaded = answers[case]
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert WORDS[case] in err
    assert not torch_loaded


def test_misuse_as_a_process_answers_quickly(tmp_path: Path) -> None:
    """Within a second and a half, of processor time: the machine may be busy with others."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    done = ask("erase", "--forget", "fruti", "--out", tmp_path / "run")
    assert spent() - before < 1.5
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown concept or group 'fruti'")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_version() -> None:
    assert ask("--version").stdout == f"erasekit {erasekit.__version__}\n"


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([]) == 0
    first = capsys.readouterr().out
    assert cli.run(["--help"]) == 0
    assert capsys.readouterr().out == first
    for command in ("erase", "evaluate", "export", "compare", "report", "tutorial", "list"):
        assert f"  {command} " in first
        assert cli.run([command, "--help"]) == 0
        shown = capsys.readouterr().out
        assert "Usage: erasekit" in shown
        assert "Example" in shown or command == "report"


def test_the_examples_in_the_help_are_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    """An example with a misspelt option would teach it."""
    import shlex

    for command in ("erase", "evaluate", "export", "compare", "tutorial", "list"):
        cli.run([command, "--help"])
        text = capsys.readouterr().out
        examples = [ln for ln in text.splitlines() if ln.startswith(f"    erasekit {command} ")]
        assert examples
        options = {word for line in examples for word in shlex.split(line) if word[:2] == "--"}
        assert options <= {word.strip(",") for word in text.split("Options:")[1].split()}


def test_a_run_is_exported(whole_run: Path, tmp_path: Path) -> None:
    done = ask("export", whole_run, "--out", "given", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "model and card: given\n"
    card = (tmp_path / "given" / "README.md").read_text(encoding="utf-8")
    assert "# given: a CLIP that was made to forget" in card
    again = ask("export", whole_run, "--out", "given", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "error: given holds files already: give a new folder\n"


def test_list_methods_as_json_has_every_option_and_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from erasekit.unlearn.registry import methods_of

    assert cli.run(["list", "methods", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    methods = methods_of("clip")
    assert set(listed) == set(methods)
    assert listed["cliperase"]["options"]["forgetting"] == 3.0
    for name, entry in listed.items():
        assert methods[name].build(entry["options"]) == methods[name]()
        assert entry["summary"]
        assert entry["source"]


def test_list_concepts_as_json_has_groups_attributes_and_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["list", "concepts", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    apple = next(entry for entry in listed if entry["name"] == "red apple")
    assert apple["group"] == "fruit"
    assert apple["attributes"]["colour"] == "red"
    assert apple["emoji"] == "\N{RED APPLE}"
    assert {"en", "ja", "ru", "ar"} <= set(apple["names"])
    assert len({e["group"] for e in listed if e["holdout"]}) == 2
    assert len({e["group"] for e in listed if not e["holdout"]}) >= 12


def test_list_all_concepts_is_more_than_a_thousand(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list", "concepts", "--all", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) > 1000


def test_list_for_people_names_every_entry(capsys: pytest.CaptureFixture[str]) -> None:
    from erasekit.cli.catalogue import LISTINGS

    for what, entries in LISTINGS.items():
        assert cli.run(["list", what]) == 0
        shown = capsys.readouterr().out
        assert all(entry["name"] in shown for entry in entries())


def test_what_was_not_foreseen_is_one_line_and_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from erasekit.cli import catalogue

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault\nover two lines")

    monkeypatch.setattr(catalogue, "listing", broken)
    monkeypatch.setenv(cli.DEBUG, "0")
    assert cli.run(["list", "methods"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: unexpected ZeroDivisionError: a fault over two lines. Details: ")
    assert said.count("\n") == 1
    log = Path(said.rsplit("Details: ", 1)[1].strip())
    assert "in broken" in log.read_text(encoding="utf-8")
    log.unlink()
    assert cli.run(["--debug", "list", "methods"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_anywhere_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from erasekit.cli import catalogue

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "listing", interrupted)
    assert cli.run(["list", "methods"]) == 130
    assert "same command" in capsys.readouterr().err


def test_tutorial_hands_its_arguments_on_and_its_code_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from erasekit.tutorial import reference
    from erasekit.tutorial import sequence as tutorial

    seen: list[dict] = []
    monkeypatch.setattr(tutorial, "run_tutorial", lambda **given: seen.append(given) or 1)
    monkeypatch.setattr(reference, "write_reference", lambda *given: seen.append({"to": given}))
    assert cli.run(["tutorial", "--only", "03", "--only", "05", "--out", "x", "--jobs", "3"]) == 1
    assert seen.pop() == {
        "profile": "default",
        "out": Path("x"),
        "only": ["03", "05"],
        "parameters": None,
        "jobs": 3,
    }
    assert cli.run(["tutorial", "--profile", "smoke", "--write-reference"]) == 1
    assert len(seen) == 1  # what failed does not become the reference
    monkeypatch.setattr(tutorial, "run_tutorial", lambda **given: 0)
    assert cli.run(["tutorial", "--profile", "smoke", "--write-reference"]) == 0
    assert seen.pop() == {"to": ("smoke", Path("runs/tutorial"))}


@pytest.mark.slow
def test_erase_by_command_writes_a_whole_run_and_ends_with_its_report(
    tiny: dict, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = ask("erase", "--forget", "bird", "--out", out, *tiny_arguments(tiny), "--no-control")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
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
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert stderr.splitlines()[-1].startswith("interrupted: the same command")
    assert "Traceback" not in stderr
    assert not (out / "scorecard.json").exists()  # not to be taken for a whole run
    assert cli.run(["report", str(out)]) == 1

    import torch

    from erasekit.runs import figures

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
    import shutil

    from erasekit.runs import figures

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


def test_compare_by_command(
    whole_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

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
