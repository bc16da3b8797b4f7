"""The manifest: what was edited in a run folder is named, by every command that reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_certificate import FORGOTTEN, policy_of

from erasekit.certificate.certificate import certify
from erasekit.cli import app as cli
from erasekit.errors import RunError, UsageError
from erasekit.files import read_json, sha256_folder, write_json
from erasekit.runs.audits import run_audit
from erasekit.runs.erasing import run_evaluate
from erasekit.runs.manifest import changes, check_models, difference, placeless, write_manifest
from erasekit.runs.run_folder import (
    PARAMS,
    PROVENANCE,
    REQUEST,
    SCORECARD,
    RunFolder,
    open_runs,
)
from erasekit.sharing.export import export

COMMANDS: dict[str, Callable[[Path], Any]] = {
    "evaluate": lambda run: run_evaluate(run, progress=False),
    "audit": lambda run: run_audit(run, progress=False),
    "certify": lambda run: certify(run, policy_of(FORGOTTEN)),
    "export": lambda run: export(run, run.parent / "given"),
    "open": RunFolder.open,
}


def edit(path: Path, **values: Any) -> None:
    write_json(path, {**read_json(path), **values})


def edit_score(run: Path, value: float) -> None:
    card = read_json(run / SCORECARD)
    card["rows"][0]["value"] = value
    write_json(run / SCORECARD, card)


EDITS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "seed": (lambda run: edit(run / PARAMS, seed=1), r"seed is 1 there, 0 in provenance\.json"),
    "forget": (lambda run: edit(run / PARAMS, forget="bird"), "forget is 'bird' there, '.*' in"),
    "type": (lambda run: write_json(run / PARAMS, [1]), "it or provenance.json is damaged"),
    "score": (lambda run: edit_score(run, 0.0), f"{SCORECARD}: changed since the run was made"),
    "nan": (lambda run: edit_score(run, float("nan")), f"{SCORECARD}: changed since"),
    "provenance": (lambda run: edit(run / PROVENANCE, seeds={}), f"{PROVENANCE}: changed since"),
    "audit": (lambda run: (run / "audit.json").write_text("{}"), "audit.json: added since"),
    "history": (
        lambda run: (run / "history.csv").write_bytes(b"step,loss\n" + b"0,1.0\n" * 12_000_000),
        "history.csv: changed since",
    ),
    "pickle": (lambda run: (run / "model" / "a.pkl").write_bytes(b"x"), "model/a.pkl: added since"),
    "picture": (
        lambda run: (run / "figures" / "loss_terms.png").unlink(),
        "loss_terms.png: missing",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_named_by_every_command(name: str, copied: Path) -> None:
    made, words = EDITS[name]
    made(copied)
    before = sha256_folder(copied)
    for command in COMMANDS.values():
        with pytest.raises(UsageError, match=words) as caught:
            command(copied)
        assert str(caught.value).startswith(str(copied)) and "\n" not in str(caught.value)
    assert sha256_folder(copied) == before
    assert not (copied.parent / "given").exists()


@pytest.mark.parametrize("command", ["evaluate", "audit", "report", "certify", "export", "compare"])
def test_a_person_gets_one_line_with_code_2(
    command: str, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(copied / PARAMS, seed=1)
    more = {
        "certify": ["--policy", "example"],
        "export": ["--out", str(copied.parent / "given")],
        "compare": [str(copied)],
    }
    assert cli.run([command, str(copied), *more.get(command, [])]) == 2
    *warned, said = capsys.readouterr().err.splitlines()
    assert "seed is 1 there, 0 in provenance.json" in "".join([*warned, said])
    assert said.startswith("error: ")


def test_a_link_in_the_model_is_named_and_not_followed(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a password", encoding="utf-8")
    (copied / "model" / "vocab.txt").symlink_to(tmp_path / "secret")
    for command in COMMANDS.values():
        with pytest.raises(UsageError, match=r"model/vocab\.txt is a link"):
            command(copied)


def test_files_that_no_command_reads_are_the_users_own(copied: Path) -> None:
    (copied / "notes.txt").write_text("mine", encoding="utf-8")
    assert RunFolder.open(copied).whole


# --- a manifest that was written again after the edit -----------------------------------


@pytest.mark.parametrize("name", ["seed", "forget"])
def test_parameters_that_are_not_those_of_the_provenance_are_named(name: str, copied: Path) -> None:
    made, words = EDITS[name]
    made(copied)
    write_manifest(copied)
    with pytest.raises(UsageError, match=f"params.json is not of this run .*{words}"):
        RunFolder.open(copied)


def test_a_scorecard_of_another_task_is_named(copied: Path) -> None:
    card = read_json(copied / SCORECARD)
    write_json(copied / SCORECARD, {**card, "task": {**card["task"], "forget": ["bird"]}})
    write_manifest(copied)
    with pytest.raises(UsageError, match=r"scorecard.json is not of this run \(forget is \['bird'"):
        RunFolder.open(copied)


def test_a_request_of_another_run_is_named(copied: Path) -> None:
    write_json(copied / REQUEST, {"erased": []})
    write_manifest(copied)
    with pytest.raises(
        UsageError, match=r"request.json is not of this run \(its sha256 is not the"
    ):
        RunFolder.open(copied)


def test_a_provenance_of_another_type_is_named(copied: Path) -> None:
    edit(copied / PROVENANCE, models=None)
    write_manifest(copied)
    for command in COMMANDS.values():
        with pytest.raises(UsageError, match=r"provenance.json is not of this run"):
            command(copied)


@pytest.mark.parametrize("command", ["evaluate", "audit"])
def test_an_original_of_another_seed_is_not_measured(command: str, copied: Path) -> None:
    edit(copied / PARAMS, seed=1)
    made = read_json(copied / PROVENANCE)
    write_json(copied / PROVENANCE, {**made, "parameters": {**made["parameters"], "seed": 1}})
    write_manifest(copied)
    before = sha256_folder(copied)
    with pytest.raises(UsageError, match=r"the original model .* is not the one in"):
        COMMANDS[command](copied)
    assert sha256_folder(copied).keys() - before.keys() <= {".lock"}
    assert (copied / SCORECARD).read_bytes() and RunFolder.open(copied)


def test_data_that_changed_since_are_named(copied: Path) -> None:
    task = read_json(copied / PROVENANCE)["task"]
    world = {**task["world"], "content": "another list"}
    experiment: Any = SimpleNamespace(
        task=SimpleNamespace(describe=lambda: {**task, "world": world})
    )
    with pytest.raises(UsageError, match=r"the data of .* are not what they were .*another list"):
        check_models(copied, experiment, {})


@pytest.mark.parametrize("text", ["{", "[]", '{"version":1,"files":{"a":1}}', '{"version":9}'])
def test_a_damaged_manifest_is_one_line(text: str, copied: Path) -> None:
    (copied / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"manifest\.json") as caught:
        RunFolder.open(copied)
    assert "\n" not in str(caught.value)


# --- writing -----------------------------------------------------------------------------


def test_what_fails_while_a_run_is_extended_leaves_it_as_it_was(copied: Path) -> None:
    before = sha256_folder(copied)
    folder = RunFolder.open(copied)

    def fail() -> None:
        with folder.extended() as stage:
            write_json(stage / SCORECARD, {})
            raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match=r"cannot write .*No space left on device"):
        fail()
    assert sha256_folder(copied) == before
    with folder.extended() as stage:
        write_json(stage / "audit.json", {})
    assert read_json(RunFolder.open(copied).path / "audit.json") == {}


def test_a_run_without_a_manifest_is_interrupted(copied: Path, whole_run: Path) -> None:
    (copied / "manifest.json").unlink()
    with pytest.raises(RunError, match=r"interrupted run \(no manifest.json\)"):
        RunFolder.open(copied)
    with pytest.raises(UsageError, match="two runs or more"), pytest.warns(UserWarning):
        open_runs([copied, whole_run])


# --- the parts ---------------------------------------------------------------------------

HASHES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("01"))


@given(HASHES, HASHES)
def test_changes_are_none_only_where_nothing_differs(old: dict, new: dict) -> None:
    found = changes(old, new)
    assert bool(found) == (old != new)
    assert all((what == "added") == (name not in old) for name, what in found.items())
    assert all((what == "missing") == (name not in new) for name, what in found.items())


@given(st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=3)))
def test_a_difference_is_said_only_where_there_is_one(value: dict) -> None:
    assert difference(value, json.loads(json.dumps(value)), "x") == ""
    assert difference({**value, "one": 1}, {**value, "one": 2}, "x") == "one is 1 there, 2 in x"


def test_no_path_is_kept() -> None:
    kept = placeless({"data": "folder:/home/me", "steps": 3, "options": {"mask": r"C:\me"}})
    assert kept["steps"] == 3 and "me" not in json.dumps(kept)
    assert kept != placeless(
        {"data": "folder:/home/you", "steps": 3, "options": {"mask": r"C:\me"}}
    )
