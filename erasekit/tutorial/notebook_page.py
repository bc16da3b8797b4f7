"""An executed notebook as a page that needs no network and runs no script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from nbconvert import HTMLExporter
from nbformat.reader import NotJSONError
from pygments.formatters import HtmlFormatter

from erasekit.errors import RunError
from erasekit.files import write_text
from erasekit.runs.pages.rendering import render_page
from erasekit.tutorial.formulas import with_mathml

_SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
# Notebooks link to each other as files; pages link to pages.
_NOTEBOOK_LINK = re.compile(r'href="(?![a-z]+:)([^"#?]+)\.ipynb')


def render_notebook(ipynb: Path, html: Path, back: str = "index.html") -> Path:
    """Write an executed notebook as a page that needs no network.

    Args:
        ipynb: the notebook with its outputs.
        html: the page to write.
        back: the page that it links back to.

    Raises:
        RunError: when the notebook is missing or damaged.
    """
    try:
        notebook = nbformat.read(ipynb, as_version=4)
    except FileNotFoundError as error:
        raise RunError(f"{ipynb} does not exist") from error
    except (NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise RunError(f"{ipynb} is damaged: it is not a notebook") from error
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_mathml(cell.source)
    # The template `basic` gives the cells alone: no script, and nothing from elsewhere.
    exporter = HTMLExporter(template_name="basic", anchor_link_text="")
    cells, _ = exporter.from_notebook_node(notebook)
    cells = _SCRIPT.sub("", cells)
    page = render_page(
        "notebook.html",
        "erasekit.tutorial",
        title=_title(notebook) or ipynb.stem,
        cells=_NOTEBOOK_LINK.sub(r'href="\1.html', cells),
        highlight=HtmlFormatter(style="default").get_style_defs(".highlight"),
        back=back,
    )
    return write_text(html, page)


def _title(notebook: Any) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return line[2:].strip()
    return ""
