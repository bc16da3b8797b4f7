"""A reproduction as tables: its data, its set-up, and the reported numbers against ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.selection import select
from erasekit.data.worlds import SPLITS
from erasekit.frames import records
from erasekit.tutorial.reported import MODELS, SUBSETS
from erasekit.tutorial.reproduction import Prepared, Reproduced
from erasekit.tutorial.wording import joined, readable


def splits_table(prepared: Sequence[Prepared]) -> pd.DataFrame:
    """A line a data set and split: pairs to forget and to retain, and how many pictures."""
    lines = {}
    for each in prepared:
        pairs = read_folder(each.settings.data, progress=False)
        gone = select(pairs, each.settings.forget)
        for code, split in enumerate(SPLITS):
            mine = pairs.split.codes == code
            lines[each.title, split] = {
                "pictures": len(np.unique(pairs.picture[mine])),
                "forget": int((mine & gone).sum()),
                "retain": int((mine & ~gone).sum()),
            }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis(["data", "split"])


def setup_table(results: Sequence[Reproduced]) -> pd.DataFrame:
    """A line a data set: model, rule, steps and seeds, and whether it ran as published."""
    lines = {}
    for each in results:
        settings = each.prepared.settings
        lines[each.prepared.title] = {
            "model": "small" if each.prepared.absent else settings.model,
            "forget": settings.forget,
            "steps": each.runs[0].scorecard.cost["erased"]["steps"],
            "seeds": len(each.runs),
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def set_up(prepared: Sequence[Prepared]) -> str:
    """Which data sets have stand-ins and why, in one sentence."""
    reasons: dict[str, list[str]] = {}
    for each in prepared:
        if each.absent:
            reasons.setdefault(each.absent, []).append(each.published.title)
    if not reasons:
        return "Everything ran as published."
    return "; ".join(f"Stand-ins for {joined(n)}: {why}" for why, n in reasons.items()) + "."


def numbers(results: Sequence[Reproduced]) -> pd.DataFrame:
    """Reported against ours, in points.

    Returns:
        indexed by (name, model, subset); columns title, measure, comparable, reported, ours (the
        mean over seeds), deviation (of a sample), seeds, difference, tolerance, within. What is
        not known, or not comparable, is missing.
    """
    lines = {}
    for each in results:
        one, comparable = each.prepared.published, not each.prepared.absent
        cards = [run.scorecard for run in each.runs]
        for model in MODELS:
            for subset in SUBSETS:
                found = 100 * np.array(
                    [card.value(model, one.metric, subset, one.direction) for card in cards]
                )
                reported = one.reported.get((model, subset), np.nan)
                difference = found.mean() - reported if comparable else np.nan
                known = comparable and not np.isnan(difference)
                tolerance = one.tolerance[subset] if known else None
                lines[one.name, model, subset] = {
                    "title": each.prepared.title,
                    "measure": readable(f"{one.metric} {one.direction.replace('_', ' ')}"),
                    "comparable": comparable,
                    "reported": reported,
                    "ours": found.mean(),
                    "deviation": found.std(ddof=1) if len(found) > 1 else np.nan,
                    "seeds": len(found),
                    "difference": difference,
                    "tolerance": np.nan if tolerance is None else tolerance,
                    "within": None if tolerance is None else bool(abs(difference) <= tolerance),
                }
    frame = pd.DataFrame.from_dict(lines, orient="index")
    return frame.rename_axis(["name", "model", "subset"])


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Ours in points: a line a data set and subset, a column a model; cells are text."""
    cells = found.reset_index()
    cells["cell"] = [_ours(line) for line in records(cells)]
    wide = cells.pivot(index=["title", "measure", "subset"], columns="model", values="cell")
    order = dict.fromkeys(zip(cells["title"], cells["measure"], cells["subset"], strict=True))
    wide = wide.loc[list(order), list(MODELS)]
    return wide.reset_index().rename(columns={"title": "data"}).rename_axis(columns=None)


def differences(found: pd.DataFrame) -> pd.DataFrame:
    """Reported against ours, of what can be compared: a line a data set, model and subset."""
    lines = [
        (
            *(line.title, line.model, line.subset, line.reported, _ours(line)),
            *(line.difference, line.tolerance, {True: "yes", False: "no"}.get(line.within, "–")),
        )
        for line in records(found.reset_index())
        if not np.isnan(line.difference)
    ]
    columns = ["data", "model", "subset", "reported (2nd)", "ours"]
    return pd.DataFrame(lines, columns=[*columns, "difference", "tolerance", "within"])


def _ours(line: Any) -> str:
    spread = "" if np.isnan(line.deviation) else f" ± {line.deviation:.1f}"
    return f"{line.ours:.1f}{spread}"


def values(found: pd.DataFrame) -> dict[str, float]:
    """Ours in points by ``name_subset_model``; ``name_retain_gain_model`` over the original."""
    ours: dict[Any, float] = found["ours"].to_dict()
    told = {f"{name}_{subset}_{model}": x for (name, model, subset), x in ours.items()}
    for name, model, subset in ours:
        if model != "original" and subset == "retain":
            gain = ours[name, model, subset] - ours[name, "original", subset]
            told[f"{name}_retain_gain_{model}"] = gain
    return told
