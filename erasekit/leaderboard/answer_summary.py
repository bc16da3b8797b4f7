"""Records of language models as tables: one row per model, means over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from erasekit.audit.names import ORACLE, ORIGINAL
from erasekit.errors import RunError
from erasekit.leaderboard.answer_bench import MEASURES
from erasekit.leaderboard.records import SHIPPED_LANGUAGE, Records
from erasekit.leaderboard.trial import CONTROL, parts


def comparison_table(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One line a model: means over seeds, and deviations as ``… ±``.

    Args:
        records: of one profile and one forget set.

    Returns:
        shares from 0 to 1 by the names of `MEASURES` and `ATTACKS`; ``average gap`` in points,
        to the oracle of the same seed, over `MEASURES`; ``seconds``, and ``of retraining``.

    Raises:
        RunError: when nothing has been tested yet.
    """
    tested = [r for r in records if r["split"] == "test" and not r["failed"]]
    oracles = {r["seed"]: r["metrics"] for r in tested if r["method"] == ORACLE}
    if not oracles:
        raise RunError("the records hold no test: run benchmarks/compare_mllm.py first")
    lines = []
    for record in tested:
        metrics, oracle = record["metrics"], oracles[record["seed"]]
        gap = 100 * np.mean([abs(metrics[name] - oracle[name]) for name in MEASURES])
        seconds = record["seconds"]
        share = None if seconds is None else seconds / record["retraining_seconds"]
        line = {"model": record["method"], "average gap": gap, **metrics}
        lines.append({**line, "seconds": seconds, "of retraining": share})
    table = pd.DataFrame(lines).astype({"seconds": float, "of retraining": float})
    grouped: Any = table.groupby("model", sort=False)  # pandas' types are many here
    means, deviations = grouped.mean(), grouped.std(ddof=0)
    found = means.join(deviations.add_suffix(" ±"))
    first, last = [ORIGINAL], [CONTROL, ORACLE]
    order = found["average gap"].drop([*first, *last], errors="ignore").sort_values().index
    return found.loc[[name for name in (*first, *order, *last) if name in found.index]]


def shipped() -> list[dict[str, Any]]:
    """The results that come with the kit."""
    return Records(SHIPPED_LANGUAGE).read()


def tuned(name: str) -> dict[str, Any]:
    """What `LanguageExperiment.erase` takes for a method's best trial of the shipped results.

    Nothing for the control, which is not tuned.
    """
    trials = [r for r in shipped() if r["method"] == name and r.get("expected_gap") is not None]
    if not trials:
        return {}
    options, spec = parts(min(trials, key=lambda record: record["expected_gap"])["trial"])
    return {"options": options, **spec}
