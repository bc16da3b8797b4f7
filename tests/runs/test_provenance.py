"""Where a run comes from: complete, true, and naming nobody."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import erasekit
from erasekit.runs import provenance


def test_provenance_says_what_decided_the_numbers_and_names_nobody(whole_run: Path) -> None:
    import getpass
    import platform

    import torch

    from erasekit.models.clip import load_clip

    text = (whole_run / "provenance.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert record["packages"]["torch"] == torch.__version__.split("+")[0]
    assert record["python"] == platform.python_version()
    assert record["threads"] == 1
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
    record = json.loads(json.dumps(provenance.provenance()))
    assert record["erasekit"] == erasekit.__version__
    assert "models" not in record
    assert len(record["code"]) == 64
