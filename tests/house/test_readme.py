"""README.md is short, its links lead somewhere, and its numbers are those of committed results."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md"]


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_its_tables_are_made_from_committed_results() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from readme_tables import leaderboard_table, scorecard_table
    finally:
        sys.path.pop(0)
    assert scorecard_table() in README
    assert leaderboard_table() in README


def test_it_names_every_notebook_in_order() -> None:
    listed = re.findall(r"\(notebooks/(\d\d_\w+\.ipynb)\)", README)
    assert listed == sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_it_gives_each_notebooks_question() -> None:
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        title = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0].removeprefix("# ")
        assert f"]({path.relative_to(ROOT)}) | {title}" in README


def test_links_between_pages_lead_to_files() -> None:
    pages = [*PAGES, *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        prose = re.sub(r"(?ms)^ *```.*?^ *```", "", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose):
            if "://" not in target and "_generated/" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
