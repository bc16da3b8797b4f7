"""The site builds without a warning: pages, their links, and what the program writes itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_page_builds(tmp_path: Path) -> None:
    """`make docs` in short: the notebooks, which other tests run, come without results."""
    pytest.importorskip("sphinx_book_theme", reason="pip install '.[docs]' brings Sphinx")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", tmp_path / "site"],
        cwd=ROOT,
        env={**os.environ, "ERASEKIT_DOCS_NOTEBOOKS": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    assert "--forget" in (site / "_generated" / "cli.html").read_text(encoding="utf-8")
    assert "forget_batch" in (site / "_generated" / "settings.html").read_text(encoding="utf-8")
    assert "never_seen" in (site / "_generated" / "methods.html").read_text(encoding="utf-8")
    quickstart = site / "_generated" / "notebooks" / "00_quickstart.html"
    assert "built without results" in quickstart.read_text(encoding="utf-8")
