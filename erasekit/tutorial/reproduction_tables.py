"""A reproduction as tables: its data, its set-up, and the reported numbers against ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.selection import select
from erasekit.data.worlds import SPLITS
from erasekit.files import read_json
from erasekit.frames import records
from erasekit.runs.run_folder import PROVENANCE
from erasekit.tutorial.reported import MODELS, SUBSETS
from erasekit.tutorial.reproduction import Prepared, Reproduced


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
    return pd.DataFrame.from_dict(lines, orient="index")


def setup_table(results: Sequence[Reproduced]) -> pd.DataFrame:
    """A line a data set: what ran there, for how many steps and seeds, and on what."""
    lines = {}
    for each in results:
        run, settings = each.runs[0], each.prepared.settings
        record = read_json(run.path / PROVENANCE)
        device = record["device"]
        lines[each.prepared.title] = {
            "set-up": each.prepared.absent or "as published",
            "model": "small" if each.prepared.absent else settings.model,
            "forget": settings.forget,
            "steps": run.scorecard.cost["erased"]["steps"],
            "seeds": len(each.runs),
            "ran on": record["processor"] if device == "cpu" else device,
        }
    return pd.DataFrame.from_dict(lines, orient="index")


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
                    "measure": f"{one.metric} {one.direction.replace('_', ' ')}",
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
    """`numbers` as a person reads them: a line a data set, model and subset; cells are text."""
    lines = {}
    for line in records(found.reset_index()):
        within = {True: "yes", False: "no"}.get(line.within, "")
        spread = "" if np.isnan(line.deviation) else f" ± {line.deviation:.2f}"
        lines[line.title, line.model, line.subset] = {
            "measure": line.measure,
            "reported": "" if np.isnan(line.reported) else f"{line.reported:.2f} (2nd)",
            "ours": f"{line.ours:.2f}{spread}",
            "seeds": line.seeds,
            "difference": "" if np.isnan(line.difference) else f"{line.difference:+.2f}",
            "tolerance": "" if np.isnan(line.tolerance) else f"± {line.tolerance:g}",
            "within tolerance": within if line.comparable else "not comparable: a stand-in",
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def values(found: pd.DataFrame) -> dict[str, float]:
    """Ours in points by ``name_subset_model``; ``name_retain_gain_model`` over the original."""
    ours: dict[Any, float] = found["ours"].to_dict()
    told = {f"{name}_{subset}_{model}": x for (name, model, subset), x in ours.items()}
    for name, model, subset in ours:
        if model != "original" and subset == "retain":
            gain = ours[name, model, subset] - ours[name, "original", subset]
            told[f"{name}_retain_gain_{model}"] = gain
    return told
