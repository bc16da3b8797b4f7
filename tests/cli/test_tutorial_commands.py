"""`tutorial` hands its arguments on."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasekit.cli import app as cli


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
