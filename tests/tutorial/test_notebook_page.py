"""Notebooks as pages that need no network and run no script."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat
import pytest
from support_pages import BAD, LOADS, PIXEL

from erasekit.errors import RunError
from erasekit.tutorial.notebook_page import render_notebook


def make_notebook(path: Path) -> Path:
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Is <it> gone?\n\nOn to [next](01_data.ipynb)."),
            nbformat.v4.new_code_cell(
                "1 + 1",
                outputs=[
                    nbformat.v4.new_output(
                        "execute_result", {"text/plain": "2", "text/html": "<b>two</b>"}
                    ),
                    nbformat.v4.new_output(
                        "display_data", {"image/png": base64.b64encode(PIXEL).decode()}
                    ),
                    nbformat.v4.new_output(
                        "display_data",
                        {"text/html": "<script src='https://example.org/a.js'></script>kept"},
                    ),
                ],
            ),
        ]
    )
    nbformat.write(notebook, path)
    return path


def test_notebook_page_stands_alone(tmp_path):
    page = render_notebook(make_notebook(tmp_path / "00_x.ipynb"), tmp_path / "00_x.html")
    source = page.read_text()
    assert not LOADS.search(source)
    assert base64.b64encode(PIXEL).decode() in source
    assert 'href="index.html"' in source and 'href="01_data.html"' in source
    assert "<title>Is &lt;it&gt; gone?</title>" in source
    assert "two" in source and "kept" in source


@pytest.mark.parametrize("content", [None, "{", '{"a": 1}'])
def test_notebook_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "x.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError, match=r"x\.ipynb"):
        render_notebook(path, tmp_path / "x.html")


def test_notebook_page_lets_no_script_run(tmp_path):
    """Markdown may hold HTML, so that what a browser does with it is for the page to forbid."""
    shown = [{"text/markdown": BAD}, {"text/html": BAD}, {"text/plain": BAD}]
    outputs = [nbformat.v4.new_output("display_data", each) for each in shown]
    cells = [
        nbformat.v4.new_markdown_cell(f"# {BAD}\n\n{BAD} [x](javascript:alert(3))"),
        nbformat.v4.new_code_cell("1", outputs=outputs),
    ]
    path = tmp_path / "00_x.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    page = render_notebook(path, tmp_path / "00_x.html").read_text()
    assert "<script" not in page
    head, _, body = page.partition("<body>")
    rule = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', head)
    assert rule is not None and "onerror" in body, "there is something to forbid"
    allowed = dict(part.split(maxsplit=1) for part in rule[1].split(";"))
    # Neither script nor network: what is not named falls under the default.
    assert allowed.pop("default-src") == "'none'"
    assert allowed == {"img-src": "data:", "style-src": "'unsafe-inline'"}
