"""`index.html`: the tutorial as it ran, with a link to each notebook's page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from erasekit.evaluate.scorecard import Scorecard
from erasekit.files import write_text
from erasekit.runs.pages.headline import headline
from erasekit.runs.pages.page_figures import figure_kind, page_figures
from erasekit.runs.pages.rendering import link, render_page
from erasekit.runs.pages.score_table import score_table

_MAIN = ("forget_retain", "scorecard", "audit_verdicts", "similarity", "tsne", "matrix", "gallery")


def write_index(
    folder: Path,
    notebooks: Sequence[dict[str, Any]],
    scorecard: Scorecard | None,
    figures: Sequence[Path],
    verdict: str = "",
) -> Path:
    """Make the tutorial's `index.html`, with a link to each rendered notebook.

    Args:
        folder: receives the page; links are relative to it.
        notebooks: for each name, title, html, ipynb (paths, empty if there is none),
            seconds and status.
        scorecard: the main result, if there is one.
        figures: pictures; the main ones are shown, the others folded.
        verdict: how the results stand against the reference, in words.
    """
    folder = Path(folder)
    lines = [
        {
            "title": notebook.get("title") or notebook["name"],
            "html": link(notebook.get("html"), folder),
            "ipynb": link(notebook.get("ipynb"), folder),
            "status": notebook.get("status", ""),
            "time": _duration(notebook.get("seconds")),
        }
        for notebook in notebooks
    ]
    main = _main_figures(figures)
    html = render_page(
        "index.html",
        "erasekit.tutorial",
        notebooks=lines,
        more=page_figures([path for path in figures if path not in main], folder),
        sentences=headline(scorecard) if scorecard else [],
        table=score_table(scorecard) if scorecard else None,
        figures=page_figures(main, folder),
        verdict=verdict,
    )
    return write_text(folder / "index.html", html)


def _main_figures(paths: Sequence[Path]) -> list[Path]:
    """The last picture of each main kind, in the order of `_MAIN`."""
    last = {figure_kind(path): path for path in paths}
    return [last[kind] for kind in _MAIN if kind in last]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s" if seconds < 90 else f"{int(seconds // 60)} min {seconds % 60:.0f} s"
