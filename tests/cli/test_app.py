"""The command line as a person meets it: by its exit code and its words."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from support_cli import answers_to, ask, check_refused

import erasekit
from erasekit.cli import app as cli

COMMANDS = [command.name for command in cli.app.registered_commands]

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
    "option out of choices": (["--option", "product=cross"], "must be one of cosine, dot"),
    "negative weight": (["--option", "forgetting=-1"], "must be 0 or more"),
    "weight that is not finite": (["--option", "forgetting=inf"], "must be a number, and finite"),
    "unknown profile": (["--profile", "smoek"], "did you mean 'smoke'?"),
    "profile to come": (["--profile", "paper"], "'default'"),
    "unknown parameter": (["--set", "pictues=4"], "did you mean 'pictures'?"),
    "parameter twice": (["--steps", "3", "--set", "steps=4"], "given twice"),
    "wrong type": (["--steps", "many"], "must be a whole number"),
    "fraction of a step": (["--steps", "2.5"], "must be a whole number"),
    "no steps": (["--steps", "0"], "must be at least 1"),
    "learning rate not finite": (["--learning-rate", "inf"], "must be a number"),
    "too small a world": (["--set", "concepts=3"], "must be at least 8"),
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
    "evaluate into a file": (["evaluate", "run", "--out", "a.json"], "--out goes with --model"),
    "audit of an original": (["audit", "run", "--original", "m"], "--original goes with --model"),
    "evaluate what is not there": (["evaluate", "run"], "run is not a folder"),
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
    "audit what is not there": (["audit", "run"], "run is not a folder"),
    "audit with a task": (["audit", "run", "--forget", "fruit"], "--forget goes with --model"),
    "audit by a test unknown": (["audit", "run", "--tests", "proebs"], "did you mean 'probes'?"),
    "audit a model not there": (["audit", "--model", "m"], "m does not exist"),
    "audit beside a model not there": (
        ["audit", "--model", ".", "--original", "m"],
        "m does not exist",
    ),
    "compare what is not there": (["compare", "a", "b"], "a is not a folder"),
    "export of nothing": (["export", "run", "--out", "given"], "run is not a folder"),
    "export to no hub": (
        ["export", "run", "--out", "given", "--push", "org/name"],
        "write hf-hub:ORG/NAME",
    ),
    "public nowhere": (["export", "run", "--out", "given", "--public"], "goes with --push only"),
    "report of nothing": (["report", "run"], "run is not a folder"),
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
    found = answers_to(CASES, folder)
    assert list(folder.iterdir()) == []  # misuse leaves nothing behind
    return found


@pytest.mark.parametrize("case", CASES)
def test_misuse_gets_one_line_and_code_2_before_torch_is_loaded(
    case: str, answers: dict[str, list]
) -> None:
    check_refused(answers[case], WORDS[case])


def test_misuse_as_a_process(tmp_path: Path) -> None:
    done = ask("erase", "--forget", "fruti", "--out", tmp_path / "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown concept or group 'fruti'")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_version() -> None:
    assert ask("--version").stdout == f"erasekit {erasekit.__version__}\n"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([]) == 0
    first = capsys.readouterr().out
    assert cli.run(["--help"]) == 0
    assert capsys.readouterr().out == first
    assert [name for name in COMMANDS if f"\n  {name} " not in first] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_in_the_help_are_accepted(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An example with a misspelt option would teach it."""
    assert cli.run([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: erasekit" in text
    examples = [ln for ln in text.splitlines() if ln.startswith(f"    erasekit {command} ")]
    assert examples or command == "report"
    options = {word for line in examples for word in shlex.split(line) if word[:2] == "--"}
    assert options <= {word.strip(",") for word in text.split("Options:")[1].split()}


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
