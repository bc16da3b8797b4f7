"""`export` as a process."""

from __future__ import annotations

from pathlib import Path

from support_cli import ask


def test_a_run_is_exported(whole_run: Path, tmp_path: Path) -> None:
    done = ask("export", whole_run, "--out", "given", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "model and card: given\n"
    card = (tmp_path / "given" / "README.md").read_text(encoding="utf-8")
    assert "# given: a CLIP that was made to forget" in card
    again = ask("export", whole_run, "--out", "given", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "error: given holds files already: give a new folder\n"
