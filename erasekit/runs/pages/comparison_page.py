"""Comparison of several runs: a table, a figure, and `compare.html` with both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from erasekit import plots
from erasekit.evaluate.scorecard import Scorecard
from erasekit.files import write_text
from erasekit.frames import no_formulas
from erasekit.runs.figures import save_figure
from erasekit.runs.pages.page_figures import page_figures
from erasekit.runs.pages.rendering import render_page
from erasekit.runs.tables import comparison, comparison_cells


def write_comparison(cards: Mapping[str, Scorecard], out: Path) -> Path:
    """Write `compare.csv`, `compare.png` and `compare.html` to `out`; return the last path.

    Raises:
        RunError: when the folder cannot be written.
    """
    write_text(out / "compare.csv", no_formulas(comparison(cards)).to_csv(index_label="run"))
    figure = save_figure(plots.compare(dict(cards)), out / "compare.png")
    table = comparison_cells(cards)
    html = render_page(
        "compare.html",
        columns=list(table.columns),
        lines=[(name, list(cells)) for name, *cells in table.itertuples()],
        figures=page_figures([figure]),
    )
    return write_text(out / "compare.html", html)
