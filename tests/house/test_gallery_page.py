"""The committed gallery: taken from executed notebooks, and honest about its age."""

from __future__ import annotations

import ast
import base64
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from support_notebooks import NOTEBOOKS, read

sys.path.append(str(NOTEBOOKS.parent / "docs"))
import gallery

PNG = base64.b64encode(b"\x89PNG of a curve").decode()


def executed(path: Path, source: str, figure: str) -> Path:
    page = (
        f'<figure id="{figure}" style="margin:0"><img style="" alt="a &lt; b" '
        f'src="data:image/png;base64,{PNG}"/><figcaption>What to see.</figcaption></figure>'
    )
    shown = new_output("display_data", data={"text/html": page})
    injected = new_code_cell(
        'seed = 3\nprofile = "smoke"', metadata={"tags": ["injected-parameters"]}
    )
    book = new_notebook(cells=[injected, new_code_cell(source, outputs=[shown])])
    nbformat.write(book, path)
    return path


@pytest.fixture
def run(tmp_path: Path, monkeypatch) -> Path:
    """A run of two notebooks, of which one picture is not there."""
    books = tmp_path / "notebooks"
    books.mkdir()
    (tmp_path / "run").mkdir()
    for name, figure in (("03_forgetting", "03_loss"), ("04_retention", "04_other")):
        nbformat.write(new_notebook(cells=[new_code_cell(f"a({name!r})")]), books / f"{name}.ipynb")
        executed(tmp_path / "run" / f"{name}.ipynb", f"a({name!r})", figure)
    monkeypatch.setattr(gallery, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(gallery, "HOME", tmp_path / "docs" / "gallery")
    monkeypatch.setattr(gallery, "SHOWN", (("03_forgetting", "loss"), ("04_retention", "loss")))
    return tmp_path / "run"


def test_pictures_and_captions_are_taken_and_what_is_missing_is_named(run: Path) -> None:
    assert gallery.make(run) == ["04_loss"]
    home = gallery.HOME
    assert (home / "03_loss.png").read_bytes() == b"\x89PNG of a curve"
    page = (home / "README.md").read_text(encoding="utf-8")
    assert "![a < b](03_loss.png)" in page
    assert "What to see. (smoke profile)" in page
    assert "has changed since" not in page


def test_pictures_of_notebooks_that_were_not_run_stay(run: Path, monkeypatch) -> None:
    executed(run / "04_retention.ipynb", "a('04_retention')", "04_loss")
    assert gallery.make(run) == []
    before = (gallery.HOME / "gallery.json").read_text()
    (run / "03_forgetting.ipynb").unlink()
    assert gallery.make(run) == []
    assert (gallery.HOME / "gallery.json").read_text() == before
    assert "![a < b](03_loss.png)" in (gallery.HOME / "README.md").read_text(encoding="utf-8")


def test_a_picture_is_old_when_the_code_of_its_notebook_has_changed(run: Path) -> None:
    gallery.make(run)
    path = gallery.DOCS.parent / "notebooks" / "03_forgetting.ipynb"
    book = nbformat.read(path, as_version=4)
    book.cells.append(nbformat.v4.new_markdown_cell("only words"))
    nbformat.write(book, path)
    assert "has changed since" not in gallery.page("")
    book.cells.append(new_code_cell("more()"))
    nbformat.write(book, path)
    assert "has changed since" in gallery.page("")


@pytest.mark.parametrize("shown", gallery.SHOWN, ids="-".join)
def test_each_picture_of_the_gallery_is_one_that_its_notebook_draws(shown: tuple[str, str]) -> None:
    notebook, title = shown
    drawn = [
        ast.literal_eval(node.args[1])
        for cell in read(NOTEBOOKS / f"{notebook}.ipynb").cells
        if cell.cell_type == "code" and "nb.picture(" in cell.source
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "nb.picture"
    ]
    assert title in drawn
