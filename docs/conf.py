"""How `make docs` builds the site: Sphinx with MyST pages and the executed notebooks."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import site_pages  # noqa: E402
from docutils import nodes  # noqa: E402

import erasekit  # noqa: E402
from erasekit.tutorial.formulas import mathml  # noqa: E402

project = "erasekit"
author = "the erasekit authors"
version = release = erasekit.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
default_role = "code"

myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
# The gallery has a page of its own, for readers of the repository.
exclude_patterns = ["gallery/README.md", "explanation/audit_rates.md"]
# Notebooks come executed: the site shows what a run gave, and runs nothing itself.
nb_execution_mode = "off"
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Notebook cells that a kernel would fill with a widget have a picture beside it.
suppress_warnings = ["mystnb.unknown_mime_type", "myst.xref_missing"]

html_theme = "sphinx_book_theme"
html_title = "erasekit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "navbar_persistent": [],
}

site_pages.write(HERE)


def _without_settings(app, what, name, obj, options, lines: list[str]) -> None:
    """The settings that a signature takes have a page of their own."""
    for at, line in enumerate(lines):
        if line.startswith("Parameters, with the defaults of profile"):
            lines[at:] = ["Every setting is described on the page *Settings*."]
            return


def _formulas(app, doctree, name) -> None:
    """Formulas as MathML: the site needs no script from elsewhere."""
    for node in [*doctree.findall(nodes.math), *doctree.findall(nodes.math_block)]:
        block = isinstance(node, nodes.math_block)
        node.replace_self(nodes.raw("", mathml(node.astext(), block), format="html"))


def setup(app) -> None:
    app.connect("doctree-resolved", _formulas)
    app.connect("autodoc-process-docstring", _without_settings, priority=1)
