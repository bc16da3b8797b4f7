"""The leaderboard: records as a page of Markdown with its pictures, always made anew from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from erasekit.errors import RunError
from erasekit.files import write_text
from erasekit.frames import records as rows_of
from erasekit.frames import where
from erasekit.leaderboard.plan import CLIP, search_space, settings_of, tasks_of, untuned
from erasekit.leaderboard.summary import (
    FLOOR,
    NAME_FILTER,
    gap_table,
    ranking,
    results,
    tasks_on_edge,
)

PAGE = "leaderboard.md"
#: Columns of the page: heading, column of the results, and how it is written.
_COLUMNS = (
    ("average gap", "average_gap", "points"),
    ("forget", "top1_forget", "share"),
    ("neighbours", "top1_neighbours", "share"),
    ("retain", "top1_retain", "share"),
    ("R@1", "recall@1_retain", "share"),
    ("membership AUC", "membership_auc_forget", "auc"),
    ("similarity", "similarity_forget", "signed"),
    ("holdout", "similarity_holdout", "signed"),
    ("relearning", "relearning", "share"),
    ("seconds", "seconds", "points"),
    ("of retraining", "retraining_share", "share"),
    ("peak MB", "peak_mb", "whole"),
)
_FORMS = {
    "points": lambda v: f"{v:.1f}",
    "share": lambda v: f"{100 * v:.1f} %",
    "auc": lambda v: f"{v:.2f}",
    "signed": lambda v: f"{v:+.2f}",
    "whole": lambda v: f"{v:.0f}",
}


def leaderboard_text(records: Sequence[Mapping[str, Any]], pictures: Sequence[str] = ()) -> str:
    """The whole page; equal records give an equal page.

    Args:
        records: of one profile, from `leaderboard.records`.
        pictures: file names to show, in order.

    Raises:
        RunError: when nothing has been tested yet.
    """
    found = results(records)
    if found.empty:
        raise RunError("the records hold no test: run `erasekit benchmark` first")
    profile = next(record["profile"] for record in records)
    names = list(dict.fromkeys(found["task"]))
    seeds = sorted(set(found["seed"]))
    settings = settings_of(profile, tasks_of(profile)[names[0]], 0)
    trials = len(next(iter(search_space().values())))
    parts = [
        "# Leaderboard",
        "This page is made by the command below from `erasekit/leaderboard/results.jsonl`, and by "
        "hand nowhere. What is in that file is not run again, so that the command only writes "
        "the page anew, or goes on.",
        f"```\nerasekit benchmark --profile {profile} --methods all --tasks all "
        f"--seeds {' '.join(map(str, seeds))} \\\n    "
        "--out erasekit/leaderboard/results.jsonl --page docs\n```",
        *_unfinished(profile, names),
        f"World: {settings.concepts} concepts, pictures of {settings.image_size} px, "
        f"{settings.train_steps} training steps. Every method had {trials} trials for each task, "
        "chosen on validation by a measure that knows no oracle, and was tested once a seed. "
        "The average gap is the mean distance, in points, to three oracles, over top-1 on forget, "
        "neighbours and retain, R@1 on retain, and membership AUC. What failed counts as if "
        "nothing had been done. Seconds are of the processor, with one thread.",
        *untuned(CLIP, dict.fromkeys(where(found, kind="method")["method"])),
        "## All tasks",
        gaps_text(records),
        _limits(records, found, trials),
        *_ranks(found),
        *(f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in pictures),
    ]
    for name in names:
        task = tasks_of(profile)[name]
        parts += [
            f"## {task.title[0].upper()}{task.title[1:]}",
            "Forgotten: " + "; then ".join(task.requests) + ".",
            _markdown(_task_table(where(found, task=name))),
        ]
    failed = [one for one in rows_of(found) if isinstance(one.failed, str)]
    if failed:
        lines = [f"- {one.method}, {one.task}, seed {one.seed}: {one.failed}" for one in failed]
        parts += ["## What failed", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _unfinished(profile: str, done: Sequence[str]) -> list[str]:
    missing = [task.title for name, task in tasks_of(profile).items() if name not in done]
    if not missing:
        return []
    return [
        f"**{len(done)} of {len(done) + len(missing)} tasks have been run.** Not yet: "
        f"{'; '.join(missing)}."
    ]


def gaps_text(records: Sequence[Mapping[str, Any]]) -> str:
    """The table of average gaps as Markdown: methods down, tasks across, best first."""
    return _markdown(gap_table(results(records)).rename_axis("average gap").map(_points))


def write_leaderboard(records: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """Write the page and its pictures into `folder`.

    Raises:
        RunError: when nothing has been tested yet, or the folder cannot be written.
    """
    from erasekit.plots.method_scores import critical_difference, methods_cost, methods_tradeoff
    from erasekit.runs.figures import save_figure

    found = results(records)
    if found.empty:
        raise RunError("the records hold no test: run `erasekit benchmark` first")
    figures = {"methods_tradeoff.png": methods_tradeoff(found)}
    figures["methods_cost.png"] = methods_cost(found)
    try:
        ranked = ranking(found)
        figures["methods_ranks.png"] = critical_difference(
            ranked.ranks, ranked.critical_difference, ranked.tasks
        )
    except RunError:  # too few to rank: the page says so
        pass
    for name, figure in figures.items():
        save_figure(figure, folder / name)
    return write_text(folder / PAGE, leaderboard_text(records, list(figures)))


def _task_table(found: pd.DataFrame) -> pd.DataFrame:
    """A line a method, best first: each measure's mean and deviation over seeds."""
    columns = {heading: (column, form) for heading, column, form in _COLUMNS if column in found}
    by_method = {str(name): part for name, part in found.groupby("method", sort=False)}
    lines = {
        name: {
            heading: _cell(np.array(part[column], dtype=float), form)
            for heading, (column, form) in columns.items()
        }
        for name, part in sorted(by_method.items(), key=lambda one: one[1]["average_gap"].mean())
    }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("method")


def _cell(values: np.ndarray, form: str) -> str:
    """Mean and deviation of what the seeds gave."""
    values, write = values[~np.isnan(values)], _FORMS[form]
    if not len(values):
        return ""
    mean = write(float(values.mean()))
    if len(values) == 1 or form == "whole":
        return mean
    return f"{mean} ± {write(float(values.std(ddof=1))).removeprefix('+')}"


def _ranks(found: pd.DataFrame) -> list[str]:
    try:
        ranked = ranking(found)
    except RunError as error:
        return [f"{error}."]
    first, second = ranked.ranks.index[:2]
    return [
        f"Mean ranks over {ranked.tasks} tasks: {first} {ranked.ranks.iloc[0]:.1f}, "
        f"{second} {ranked.ranks.iloc[1]:.1f}, … Friedman's test that all rank alike: "
        f"p = {ranked.p_value:.1g}. Ranks closer than {ranked.critical_difference:.1f} (Nemenyi, "
        "5 %) cannot be told apart."
    ]


def _limits(records: Sequence[Mapping[str, Any]], found: pd.DataFrame, trials: int) -> str:
    """What the order of the table does not establish, and what its measure misses."""
    lines = [
        f"**The order of this table is not an established ranking.** {trials} trials for each "
        "method and task are a small budget, and they were compared on one seed. `never_seen`, "
        "the kit's own method, was developed with many looks at this world; the other methods "
        f"got their {trials} trials."
    ]
    by_count: dict[int, list[str]] = {}
    for method, count in tasks_on_edge(records).items():
        by_count.setdefault(count, []).append(method)
    on_edge = [
        f"on {count} {'task' if count == 1 else 'tasks'} for {', '.join(methods)}"
        for count, methods in sorted(by_count.items(), reverse=True)
        if count
    ]
    if on_edge:
        lines.append(
            "The best trial often lies on an edge of the search range, where some setting has "
            f"the smallest or the largest value that was tried: {'; '.join(on_edge)}. These "
            "methods may come nearer to the oracles with more trials."
        )
    means = gap_table(found)["mean"].to_dict()
    hidden, floor = means[NAME_FILTER], means[FLOOR]
    side = "above" if hidden > floor else "not above"
    lines.append(
        f"`{NAME_FILTER}` is the original with the forgotten names hidden: top-1 on forget is set "
        "to 0 and membership AUC to 0.5, and nothing else changes. It forgets nothing. Its mean "
        f"gap is {hidden:.1f} points, {side} the oracles' floor of {floor:.1f}; the measure that "
        "chooses between trials is 0 for it by definition. A model with a gap as small need not "
        "have forgotten anything: read the gap with the similarity and the relearning below, "
        "where the name filter equals the original."
    )
    return "\n\n".join(lines)


def _points(value: float) -> str:
    return "" if pd.isna(value) else f"{value:.1f}"


def _markdown(table: pd.DataFrame) -> str:
    head = [str(table.index.name or ""), *map(str, table.columns)]
    lines = [head, ["---"] * len(head)]
    lines += [[str(cell) for cell in line] for line in table.itertuples()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
