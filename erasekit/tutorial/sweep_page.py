"""`index.html` of a sweep: one row a run, sortable, with links to the executed notebooks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from erasekit.errors import RunError
from erasekit.files import read_json, write_text
from erasekit.runs.manifest import SCORECARD
from erasekit.runs.pages.rendering import link, render_page
from erasekit.tutorial.notebook_unit import LOG

PAGE = "index.html"


def write_sweep_page(out: Path, runs: Mapping[str, Mapping[str, Any]]) -> Path:
    """Compare the runs of a sweep.

    Args:
        out: the folder of the sweep, which receives the page.
        runs: the record of each run, by the name of its folder there.
    """
    names = _all_names([run["parameters"] for run in runs.values()])
    measured = _measures(out, runs)
    measures = _all_names(list(measured.values()))
    rows = []
    for name, run in runs.items():
        folder = out / name
        values = [run["parameters"].get(one) for one in names]
        values += [measured[name].get(one) for one in measures]
        rows.append(
            {
                "name": name,
                "page": _link(folder / f"{run['notebook']}.html", out),
                "notebook": _link(folder / f"{run['notebook']}.ipynb", out),
                "log": _link(folder / LOG, out),
                "failure": run["failure"],
                "cells": [_cell(value) for value in [*values, run["seconds"]]],
            }
        )
    html = render_page(
        "sweep.html",
        "erasekit.tutorial",
        columns=[
            *("run", *names),
            *(f"{one} (recorded)" if one in names else one for one in measures),
            "seconds",
        ],
        rows=rows,
        failed=sum(bool(row["failure"]) for row in rows),
    )
    return write_text(out / PAGE, html)


def _link(path: Path, out: Path) -> str:
    return link(path.relative_to(out), out) if path.is_file() else ""


def _all_names(given: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for one in given for name in one))


def _measures(out: Path, runs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The headlines of each run's scorecard; what the notebooks recorded, where none has one."""
    values: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        try:
            values[name] = dict(read_json(out / name / f"{run['notebook']}.json")["values"])
        except (RunError, KeyError, TypeError):
            values[name] = {}  # a notebook that records nothing, or failed before
    cards = [name for name in runs if (out / name / SCORECARD).is_file()]
    if not cards:
        return values
    from erasekit.evaluate.scorecard import Scorecard  # which takes seconds to import
    from erasekit.runs.tables import comparison

    table = comparison({name: Scorecard.load(out / name / SCORECARD) for name in cards})
    table = table.drop(columns=["forget", "seconds"])
    return {name: table.loc[name].to_dict() if name in cards else {} for name in runs}


def _cell(value: Any) -> dict[str, str]:
    """A value as text, and by what it is sorted."""
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return {"text": "–", "sort": ""}
    if isinstance(value, float):
        return {"text": f"{value:.4g}", "sort": repr(value)}
    return {"text": str(value), "sort": str(value)}
