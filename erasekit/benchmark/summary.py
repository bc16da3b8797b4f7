"""Records as tables: gaps to the oracles of the same seed, the floor, means over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from erasekit.benchmark.plan import CONTROL
from erasekit.benchmark.run import ORACLE, ORIGINAL
from erasekit.evaluate.scorecard import AVERAGE_GAP

#: The name under which the oracles' own gap stands: an oracle against the others.
FLOOR = "oracle (floor)"
#: What is no method of its own in a ranking.
REFERENCES = (ORIGINAL, CONTROL, FLOOR)
_MEASURES = [f"{metric}_{subset}" for metric, subset in AVERAGE_GAP]


def results(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Every test result: task, method, seed, ``average_gap``, its measures, its cost.

    Args:
        records: of `benchmark.records`; of two of one task, method and seed the later counts.

    Returns:
        A row a result. ``average_gap`` is in points, to the mean of the oracles measured with
        the same seed; an oracle's own is to the other oracles, and it stands as `FLOOR`. A
        method that failed has no measures, and the original's gap.
    """
    tests = {
        (record["task"], record["method"], record["seed"]): record
        for record in records
        if record["split"] == "test"
    }
    rows = []
    for (task, method, seed), record in tests.items():
        oracles = {
            name: other["metrics"]
            for (its_task, name, its_seed), other in tests.items()
            if its_task == task and its_seed == seed and name.startswith(f"{ORACLE}-")
        }
        others = [metrics for name, metrics in oracles.items() if name != method]
        original = tests.get((task, ORIGINAL, seed))
        if not others or original is None:
            continue
        metrics = record["metrics"] or {}
        seconds, retraining = record.get("seconds"), record.get("retraining_seconds")
        rows.append(
            {
                "task": task,
                "method": FLOOR if method in oracles else method,
                "seed": seed,
                "average_gap": _average_gap(metrics or original["metrics"], others),
                **metrics,
                "seconds": seconds,
                "retraining_share": seconds / retraining if seconds and retraining else None,
                "peak_mb": record.get("peak_mb"),
                "failed": record["failed"],
            }
        )
    return pd.DataFrame(rows)


def _average_gap(metrics: Mapping[str, float], oracles: Sequence[Mapping[str, float]]) -> float:
    gaps = [
        abs(metrics[name] - sum(oracle[name] for oracle in oracles) / len(oracles))
        for name in _MEASURES
    ]
    return 100 * sum(gaps) / len(gaps)


def gap_table(found: pd.DataFrame) -> pd.DataFrame:
    """Average gap by method (rows) and task (columns), the mean over seeds; best first.

    The last column is the mean over tasks; a method that lacks a task has none there.
    """
    table = found.pivot_table(
        index="method", columns="task", values="average_gap", aggfunc="mean", sort=False
    )
    table["mean"] = table.mean(axis=1, skipna=False)
    return table.sort_values("mean")


def summary_text(records: Sequence[Mapping[str, Any]]) -> str:
    """The table of average gaps for a terminal."""
    found = results(records)
    if found.empty:
        return "no task has been tested yet"
    table = gap_table(found).map(lambda value: "" if pd.isna(value) else f"{value:.1f}")
    return "average gap to the oracles in points, best first\n" + table.to_string()
