"""`requests` as a team meets it: by exit code and words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support_certificate import FORGOTTEN, write_keys, write_policy
from support_cli import answers_to, check_refused, tiny_arguments

from erasekit.cli import app as cli
from erasekit.files import read_json

KEPT = {**FORGOTTEN, "id": "kept", "subset": "retain", "compare": "drop_from_original"}

REFUSED = {
    "no command": (["list"], "REGISTRY"),
    "no registry": (["list", "none"], "none is not a registry: make one with erasekit requests"),
    "no key": (["init", "reg", "--policy", "example"], "--key"),
    "key not there": (["init", "reg", "--policy", "example", "--key", "k"], "cannot read the key"),
    "unknown policy": (["init", "reg", "--policy", "exampel", "--key", "k"], "did you mean"),
    "unknown state": (["list", "none", "--state", "aproved"], "did you mean 'approved'?"),
}


def test_misuse_is_refused_in_one_line(tmp_path: Path) -> None:
    found = answers_to(
        {name: ["requests", *given] for name, (given, _) in REFUSED.items()}, tmp_path
    )
    for name, (_, words) in REFUSED.items():
        check_refused(found[name], words)


def test_from_the_letter_to_the_live_model_and_back(
    tmp_path: Path,
    tiny: dict,
    own_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from erasekit.runs import figures

    monkeypatch.setattr(figures, "write_figures", lambda *_: [])
    monkeypatch.chdir(tmp_path)
    policy = write_policy(tmp_path / "policy.yaml", {**KEPT, "at_most": 1})
    private, public = write_keys(tmp_path)

    def ask(*given: object, code: int = 0) -> str:
        found = cli.run(["requests", *map(str, given)])
        out, err = capsys.readouterr()
        assert found == code, (given, out, err)
        if code:
            assert err.startswith("error: ") and err.count("\n") == 1
        return out + err

    ask("init", "reg", "--policy", policy, "--key", private, *tiny_arguments(tiny))
    assert "r1 is received" in ask("add", "reg", "--forget", "banana", "--as", "ann")
    assert "r2 asks for the same as r1" in ask("add", "reg", "--forget", "Banana", code=2)
    assert "ask someone else" in (
        ask("review", "reg", "r1") and ask("approve", "reg", "r1", "--as", "ann", code=2)
    )
    assert "r1 is approved" in ask("approve", "reg", "r1", "--as", "dora", "--why", "checked")
    assert "no version is verified" in ask("promote", "reg", code=2)
    assert ask("run", "reg") == "v1 is made for r1: verify it next\n"
    assert ask("run", "reg") == "no request is approved: nothing to do\n"
    assert ask("verify", "reg").startswith("v1 is candidate. The policy “trial” is met")
    shutil.copy(tmp_path / "reg" / "checkpoint", tmp_path / "kept")
    assert ask("promote", "reg") == "v1 is canary\n"
    said = ask("promote", "reg", "--queries", own_folder)
    assert said.endswith("v1 is live\n") and "answers differ from v0's" in said
    model = tmp_path / "reg" / read_json(tmp_path / "reg" / "aliases.json")["live"]["model"]
    assert (model / "open_clip_model.safetensors").is_file()
    assert json.loads(ask("list", "reg", "--json"))["aliases"] == {"live": "v1"}
    assert ask("rollback", "reg", "--why", "complaints") == ("v0 is live again; rolled back: r1\n")
    assert "r1: rolled_back, version v1" in ask("show", "reg", "r1")
    said = ask("log", "reg", "--since", "kept", "--public-key", public)
    assert "11 entries, as signed in the last checkpoint" in said
    assert "consistent with the 8 entries of kept; proof:" in said
    other = write_keys(tmp_path, "other")[1]
    assert "not signed by" in ask("log", "reg", "--public-key", other, code=1)
    assert ask("page", "reg").startswith("page: ")
