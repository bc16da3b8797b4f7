"""`export` as a process, and what it answers in this one."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_cli import ask

from erasekit.cli import app as cli


def test_a_run_is_exported(
    whole_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = ask("export", whole_run, "--out", "given", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "model and card: given\n"
    card = (tmp_path / "given" / "README.md").read_text(encoding="utf-8")
    assert "# given: a CLIP that was made to forget" in card
    monkeypatch.chdir(tmp_path)
    assert cli.run(["export", str(whole_run), "--out", "given"]) == 2
    message = "error: given holds files already: give a new folder\n"
    assert tuple(capsys.readouterr()) == ("", message)
