"""Scorecards as short tables: one run for the terminal, or several side by side.

Shares are in per cent, similarities from −1 to 1, and the gap in points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from erasekit.evaluate.scorecard import ANSWERS_GAP, Measure, Scorecard
from erasekit.runs.run_folder import RunFolder

#: Main measures of a run: forgetting, retention, and similarity.
HEADLINES: tuple[Measure, ...] = (
    ("top1", "forget"),
    ("top1", "neighbours"),
    ("top1", "retain"),
    ("recall@1", "retain"),
    ("similarity", "forget"),
    ("similarity", "holdout"),
    *ANSWERS_GAP,
)


def headline(scorecard: Scorecard) -> pd.DataFrame:
    """Return one row per measure and one column per model, the gap last; cells are text."""
    has_gap = {"erased", "oracle"} <= set(scorecard.models)
    lines = {}
    for measure in _headlines(scorecard):
        line = {m: _cell(measure[0], scorecard.value(m, *measure)) for m in scorecard.models}
        if has_gap:
            line["gap"] = f"{scorecard.gap(*measure):+.1f}"
        lines[" ".join(measure)] = line
    return pd.DataFrame.from_dict(lines, orient="index")


def _headlines(scorecard: Scorecard) -> list[Measure]:
    """Return the main measures of a scorecard; without names, retrieval measures forgetting."""
    first: list[Measure] = [("recall@1", "forget")] if scorecard.main_metric == "recall@1" else []
    return first + [line for line in HEADLINES if scorecard.has(*line)]


def _cell(metric: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:+.3f}" if metric == "similarity" else f"{100 * value:.1f} %"


def summary(folder: RunFolder) -> str:
    """Return the summary that is printed at the end of a run."""
    scorecard = folder.scorecard
    lines = [f"forgotten: {', '.join(scorecard.task['forget'])}", ""]
    lines += [headline(scorecard).to_string(), ""]
    if {"erased", "oracle"} <= set(scorecard.models):
        lines.append(f"average gap to the oracle: {scorecard.average_gap():.1f} points")
    for name in ("erased", "oracle"):
        if cost := scorecard.cost.get(name):
            what = "erasing" if name == "erased" else "training the oracle"
            lines.append(f"{what}: {cost['seconds']:.1f} s, {cost['steps']} steps")
    lines.append(f"report: {folder.report}")
    return "\n".join(lines)


def models_table(scorecard: Scorecard) -> pd.DataFrame:
    """Return one row per model, nearest to the oracle first: the average gap and its parts.

    The gap is in points, shares are from 0 to 1. Similarities do not count and come last.
    """
    beside = [m for m in (("similarity", "forget"), ("similarity", "holdout")) if scorecard.has(*m)]
    measures: list[Measure] = [*scorecard.gap_measures, *beside]
    lines = {
        model: {
            "average gap": scorecard.average_gap(model),
            **{" ".join(m): scorecard.value(model, *m) for m in measures},
        }
        for model in scorecard.models
    }
    return pd.DataFrame.from_dict(lines, orient="index").sort_values("average gap")


def comparison(cards: Mapping[str, Scorecard]) -> pd.DataFrame:
    """Return one row per run: the request, the erased model's main measures, its average gap.

    Shares are from 0 to 1, the gap is in points; a run without an oracle has no gap.
    """
    lines = {}
    for name, card in cards.items():
        line: dict[str, object] = {"forget": ", ".join(card.task["forget"])}
        for measure in _compared(cards):
            value = card.value("erased", *measure) if card.has(*measure) else math.nan
            line[" ".join(measure)] = round(value, 4)
        has_oracle = "oracle" in card.models
        line["average gap"] = round(card.average_gap(), 2) if has_oracle else math.nan
        line["seconds"] = card.cost.get("erased", {}).get("seconds", math.nan)
        lines[name] = line
    return pd.DataFrame.from_dict(lines, orient="index")


def _compared(cards: Mapping[str, Scorecard]) -> list[Measure]:
    """Return the main measures that any of the runs has."""
    return [line for line in HEADLINES if any(card.has(*line) for card in cards.values())]


def comparison_cells(cards: Mapping[str, Scorecard]) -> pd.DataFrame:
    """Return the comparison as text: one row per run."""
    table = comparison(cards)
    shown = pd.DataFrame({"forget": table["forget"]})
    for measure in _compared(cards):
        column = " ".join(measure)
        shown[column] = [_cell(measure[0], value) for value in table[column]]
    for column in ("average gap", "seconds"):
        shown[column] = [f"{value:.1f}" if value == value else "–" for value in table[column]]
    return shown


def comparison_text(cards: Mapping[str, Scorecard]) -> str:
    """Return the comparison for a terminal, with one column per run."""
    table = comparison_cells(cards)
    table["forget"] = [f"{len(card.task['forget'])} concepts" for card in cards.values()]
    return table.T.to_string()
