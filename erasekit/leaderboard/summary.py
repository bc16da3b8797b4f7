"""Records as tables: gaps to the oracles of the same seed, the floor, means over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, studentized_range

from erasekit.audit.names import ORACLE, ORIGINAL
from erasekit.errors import RunError
from erasekit.evaluate.scorecard import AVERAGE_GAP
from erasekit.frames import where
from erasekit.leaderboard.plan import settings_of, tasks_of
from erasekit.leaderboard.trial import CONTROL, EXPECTED, parts
from erasekit.unlearn.registry import get_method

#: The name under which the oracles' own gap stands: an oracle against the others.
FLOOR = "oracle (floor)"
#: The original with the forgotten names hidden from its answers. Nothing is forgotten, and its
#: weights are the original's: a method is of use only where some measure tells it from this.
NAME_FILTER = "original + name filter"
_MEASURES = [f"{metric}_{subset}" for metric, subset in AVERAGE_GAP]


def results(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Every test result: task, method, seed, ``average_gap``, its measures, its cost.

    Args:
        records: of `leaderboard.records`; of two of one task, method and seed the later counts.

    Returns:
        A row a result. ``kind`` is method, reference, filter or floor. ``average_gap`` is in
        points, to the mean of the oracles measured with the same seed; an oracle's own is to the
        other oracles, and it stands as `FLOOR`. Each measure has its signed gap beside it, such as
        ``top1_forget_gap``. A method that failed has no measures, and the original's gap.
        `NAME_FILTER` is computed from the original's result, with a top-1 of 0 on forget and a
        membership AUC of 0.5.
    """
    tests = {
        (record["task"], record["method"], record["seed"]): record
        for record in records
        if record["split"] == "test"
    }
    tests |= {
        (task, NAME_FILTER, seed): {**record, "metrics": record["metrics"] | EXPECTED}
        for (task, method, seed), record in tests.items()
        if method == ORIGINAL
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
                "kind": _kind(method, method in oracles),
                "seed": seed,
                "average_gap": _average_gap(metrics or original["metrics"], others),
                **metrics,
                **{f"{name}_gap": 100 * (v - _mean(others, name)) for name, v in metrics.items()},
                "seconds": seconds,
                "retraining_share": seconds / retraining if seconds and retraining else None,
                "peak_mb": record.get("peak_mb"),
                "failed": record["failed"],
            }
        )
    return pd.DataFrame(rows)


def _kind(method: str, is_oracle: bool) -> str:
    if is_oracle:
        return "floor"
    if method == NAME_FILTER:
        return "filter"
    return "reference" if method in (ORIGINAL, CONTROL) else "method"


def _average_gap(metrics: Mapping[str, float], oracles: Sequence[Mapping[str, float]]) -> float:
    gaps = [abs(metrics[name] - _mean(oracles, name)) for name in _MEASURES]
    return 100 * sum(gaps) / len(gaps)


def _mean(oracles: Sequence[Mapping[str, float]], name: str) -> float:
    return sum(oracle[name] for oracle in oracles) / len(oracles)


def gap_table(found: pd.DataFrame) -> pd.DataFrame:
    """Average gap by method (rows) and task (columns), the mean over seeds; best first.

    The last column is the mean over tasks; a method that lacks a task has none there.
    """
    table = found.pivot_table(
        index="method", columns="task", values="average_gap", aggfunc="mean", sort=False
    )
    table["mean"] = table.mean(axis=1, skipna=False)
    return table.sort_values("mean")


@dataclass(frozen=True)
class Ranking:
    """How methods rank over tasks.

    Attributes:
        ranks: mean rank of each method, 1 the best; best first.
        tasks: how many tasks every one of them was tested on.
        p_value: of Friedman's test that all rank alike.
        critical_difference: Nemenyi's at 5 %: mean ranks closer than this cannot be told apart.
    """

    ranks: pd.Series
    tasks: int
    p_value: float
    critical_difference: float


def ranking(found: pd.DataFrame) -> Ranking:
    """Ranks by average gap, of the methods that were tested on every task.

    Source: Demšar 2006, Statistical comparisons of classifiers over multiple data sets (JMLR 7).

    Args:
        found: from `results`.

    Raises:
        RunError: with fewer than three methods or two tasks in common.
    """
    methods = found.loc[found["kind"] == "method"]
    table = methods.pivot_table(index="task", columns="method", values="average_gap")
    table = table.dropna(axis=1)  # who lacks a task is not ranked
    tasks, k = table.shape
    if k < 3 or tasks < 2:
        raise RunError(
            f"{k} methods on {tasks} tasks in common cannot be ranked: at least 3 on 2 are needed"
        )
    ranks = table.rank(axis=1).mean().sort_values()
    p_value = float(friedmanchisquare(*(table[name] for name in table)).pvalue)
    quantile = float(studentized_range.ppf(0.95, k, np.inf)) / np.sqrt(2)
    return Ranking(ranks, tasks, p_value, float(quantile * np.sqrt(k * (k + 1) / (6 * tasks))))


def findings(found: pd.DataFrame) -> dict[str, str | float | int]:
    """The two smallest gaps of all methods, and what to compare them with.

    Returns:
        best, second: methods, by the mean over tasks; best_gap, second_gap, floor_gap,
        filter_gap: their average gaps, the floor and the name filter's, in points; tasks: how
        many; filter_is: where the name filter's gap lies, above or not above the floor.
    """
    methods = gap_table(where(found, kind="method")).dropna()
    floor = gap_table(where(found, kind="floor"))
    best, second = (str(name) for name in methods.index[:2])
    filter_gap = float(gap_table(where(found, method=NAME_FILTER))["mean"].iloc[0])
    floor_gap = float(floor["mean"].iloc[0])
    return {
        "best": best,
        "best_gap": float(methods["mean"].iloc[0]),
        "second": second,
        "second_gap": float(methods["mean"].iloc[1]),
        "floor_gap": floor_gap,
        "filter_gap": filter_gap,
        "filter_is": "above" if filter_gap > floor_gap else "not above",
        "tasks": methods.shape[1] - 1,
    }


def tasks_on_edge(records: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """On how many tasks the tested trial of each method lies on an edge of what was tried.

    It does where a numeric setting that the trials vary has its smallest or its largest value.

    Args:
        records: of one profile; a method without trials in them is left out.
    """
    trials: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    tested: dict[tuple[str, str], Mapping[str, Any]] = {}
    for record in records:
        of = (record["method"], record["task"])
        values = _flat(record["trial"])
        if record["split"] == "validation":
            trials.setdefault(of, []).append(values)
        else:
            tested[of] = values  # the same for every seed
    counts: dict[str, int] = {}
    for of, tried in trials.items():
        if of in tested:
            defaults = _defaults(records[0]["profile"], *of)
            best = {**defaults, **tested[of]}
            names = [n for n in set().union(*tried) if isinstance(best[n], int | float)]
            ranges = [[{**defaults, **one}[name] for one in tried] for name in names]
            on_edge = any(
                min(values) < max(values) and best[name] in (min(values), max(values))
                for name, values in zip(names, ranges, strict=True)
            )
            counts[of[0]] = counts.get(of[0], 0) + on_edge
    return counts


def _defaults(profile: str, method: str, task: str) -> dict[str, Any]:
    """What a trial leaves as it is: settings of the profile, and options of the method."""
    settings = settings_of(profile, tasks_of(profile)[task], 0)
    return {**vars(settings), **vars(get_method(method).build({}, "clip"))}


def gaps_by_measure(found: pd.DataFrame, method: str) -> pd.DataFrame:
    """What lies between one method and the oracles, signed, in points: a line a task.

    The average gap comes first, with the floor and the best other method beside it; then the
    measures that it is made of, then what stands beside them.

    Raises:
        RunError: when the method was not tested.
    """
    own = where(found, method=method)
    if own.empty:
        raise RunError(f"the records hold no test of {method}")
    columns = [str(name) for name in own if str(name).endswith("_gap") and name != "average_gap"]
    measures = own.pivot_table(index="task", values=columns, sort=False)[columns]
    others = gap_table(where(found, kind="method")).drop(index=method)
    floor = gap_table(where(found, kind="floor"))
    beside = {
        "average gap": gap_table(own).loc[method],
        "best other": others.min(),
        "floor": floor.loc[FLOOR],
    }
    measures.columns = [name.removesuffix("_gap").replace("_", " ") for name in columns]
    return pd.DataFrame(beside).drop(index="mean").join(measures)


def _flat(trial: Mapping[str, Any]) -> dict[str, Any]:
    options, spec = parts(trial)
    return {**spec, **options}


def summary_text(records: Sequence[Mapping[str, Any]]) -> str:
    """The table of average gaps for a terminal."""
    found = results(records)
    if found.empty:
        return "no task has been tested yet"
    table = gap_table(found).map(lambda value: "" if pd.isna(value) else f"{value:.1f}")
    return "average gap to the oracles in points, best first\n" + table.to_string()
