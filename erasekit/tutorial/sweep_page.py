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
    columns = [_column(one, [run["parameters"].get(one) for run in runs.values()]) for one in names]
    columns += [
        _column(f"{one} (recorded)" if one in names else one, [measured[n].get(one) for n in runs])
        for one in measures
    ]
    columns.append(_column("seconds", [run["seconds"] for run in runs.values()]))
    rows = []
    for (name, run), *cells in zip(runs.items(), *(c["cells"] for c in columns), strict=True):
        folder = out / name
        rows.append(
            {
                "name": name,
                "page": _link(folder / f"{run['notebook']}.html", out),
                "notebook": _link(folder / f"{run['notebook']}.ipynb", out),
                "log": _link(folder / LOG, out),
                "failure": run["failure"],
                "cells": cells,
            }
        )
    html = render_page(
        "sweep.html",
        "erasekit.tutorial",
        columns=columns,
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


def _column(title: str, values: Sequence[Any]) -> dict[str, Any]:
    """A column as text: numbers have equal decimals, and a dash stands for no value."""
    known = [value for value in values if not _missing(value)]
    number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in known)
    floats = [f"{value:.4g}" for value in known if isinstance(value, float)]
    form = ".4g"
    if number and not any("e" in text for text in floats):
        form = f".{max((len(text.partition('.')[2]) for text in floats), default=0)}f"
    equal = bool(floats) and form != ".4g"  # then whole numbers get decimals too
    cells = [
        {"text": "–", "sort": ""}
        if _missing(value)
        else {
            "text": f"{value:{form}}" if equal or isinstance(value, float) else str(value),
            "sort": str(value),
        }
        for value in values
    ]
    return {"title": title, "number": number, "cells": cells}


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and not math.isfinite(value))
