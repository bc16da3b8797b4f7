"""Scorecards as pictures: one with its models side by side, and several runs compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from erasekit.evaluate.scorecard import Measure, Scorecard
from erasekit.evaluate.subsets import SUBSETS
from erasekit.frames import records, where
from erasekit.plots.style import (
    FAINT,
    INK,
    LINE,
    WIDTH,
    draw_point,
    legend_above,
    mark_handle,
    model_mark,
    share_axis,
    styled,
)

_PANELS = {
    "top1": "zero-shot top-1",
    "recall@1": "R@1, picture to caption",
    "similarity": "similarity of matched pairs",
}
#: What a comparison of runs shows of what they have: measure and heading.
_COMPARED: dict[Measure, str] = {
    ("top1", "forget"): "top-1\nforget",
    ("top1", "neighbours"): "top-1\nneighbours",
    ("top1", "retain"): "top-1\nretain",
    ("similarity", "forget"): "similarity\nforget",
    ("accuracy:name", "forget", "seen"): "names\nforget",
    ("accuracy", "retain", "seen"): "answers seen\nretain",
    ("accuracy", "forget", "told"): "answers told\nforget",
}


def scorecard_bars_data(scorecard: Scorecard) -> pd.DataFrame:
    """The rows of top-1 and similarity: model, metric, subset, value, low, high.

    Where nothing has a name, R@1 stands for top-1.
    """
    frame = scorecard.frame()
    frame = frame.loc[frame["metric"].isin([scorecard.main_metric, "similarity"])]
    frame = frame.loc[frame["direction"] != "text_to_image"]
    columns = ["model", "metric", "subset", "value", "low", "high"]
    return frame.reindex(columns=columns).reset_index(drop=True)


@styled
def scorecard_bars(scorecard: Scorecard) -> Figure:
    """Top-1 and similarity on forget, neighbours, retain and holdout, with intervals.

    Holdout concepts have a similarity alone: no model ever saw them.
    """
    data, models = scorecard_bars_data(scorecard), scorecard.models
    figure, grid = plt.subplots(2, 1, figsize=(WIDTH, 7.4), height_ratios=[1, 1.1])
    bar = 0.8 / len(models)
    slim = len(models) > 4  # too slim for a number with a sign to stand over it
    handles: dict[str, object] = {}
    for axes, metric in zip(grid, (scorecard.main_metric, "similarity"), strict=True):
        part = where(data, metric=metric)
        subsets = [s for s in SUBSETS if s in set(part["subset"])]
        for place, model in enumerate(models):
            own = where(part, model=model).set_index("subset").reindex(subsets)
            x = np.arange(len(subsets)) + (place - (len(models) - 1) / 2) * bar
            mark = model_mark(model, models)
            handles[model] = axes.bar(
                x,
                own["value"],
                bar * 0.92,
                color=mark.colour,
                hatch=mark.hatch,
                edgecolor="white",
                linewidth=0.5,
            )
            reach = np.stack([own["value"] - own["low"], own["high"] - own["value"]])
            axes.errorbar(
                x, own["value"], np.clip(reach, 0, None), fmt="none", color=INK, lw=1.2, capsize=2.5
            )
            for at, value, low, high in zip(x, own["value"], own["low"], own["high"], strict=True):
                text = (
                    f"{value:.2f}".replace("-", "−")
                    if metric == "similarity"
                    else f"{100 * value:.0f}"
                )
                up = value >= 0
                axes.annotate(
                    text,
                    (at, max(high, value) if up else min(low, value)),
                    xytext=(0, 3 if up else -3),
                    textcoords="offset points",
                    ha="center",
                    va="bottom" if up else "top",
                    fontsize=8 if metric == "similarity" else 9.5,
                    rotation=90 if slim and metric == "similarity" else 0,
                )
        axes.set_xticks(range(len(subsets)), subsets)
        axes.tick_params(axis="x", length=0)
        axes.grid(False, axis="x")
        axes.set_ylabel(_PANELS[metric])
        axes.axhline(0, color=FAINT, linewidth=1)
    grid[0].set_ylim(0, 1.14)
    grid[0].set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    grid[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    low, high = grid[1].get_ylim()
    space = 0.3 if slim else 0.08
    grid[1].set_ylim(low - space, high + space)
    legend_above(figure, list(handles.values()), list(handles), len(handles))
    return figure


def compare_data(scorecards: Mapping[str, Scorecard]) -> pd.DataFrame:
    """What is compared: run (in order), model, metric, subset, direction, value, low, high."""
    lines = [
        {"run": run, **asdict(row)}
        for run, card in scorecards.items()
        for row in card.rows
        if row.measure in _COMPARED
    ]
    places = ["metric", "subset", "direction"]
    return pd.DataFrame(lines, columns=["run", "model", *places, "value", "low", "high"])


@styled
def compare(scorecards: Mapping[str, Scorecard]) -> Figure:
    """Several runs one below the other: erased, with interval, between original and oracle.

    Args:
        scorecards: by the run's name, in the order to show.
    """
    data, runs = compare_data(scorecards), list(scorecards)
    panels = [m for m in _COMPARED if any(card.has(*m) for card in scorecards.values())]
    figure, grid = plt.subplots(
        1, len(panels), figsize=(WIDTH, 1.9 + 0.55 * len(runs)), sharey=True, squeeze=False
    )
    grid = grid[0]
    present = list(dict.fromkeys(m for card in scorecards.values() for m in card.models))
    order = [m for m in ("original", "control", "oracle", "erased") if m in present]
    order = [m for m in present if m not in order] + order
    lane = dict(zip(order, np.linspace(0.22, -0.22, len(order)), strict=True))
    for axes, measure in zip(grid, panels, strict=True):
        place = dict(zip(("metric", "subset", "direction"), measure, strict=False))
        for line in records(where(data, **place)):
            draw_point(
                axes,
                line.value,
                runs.index(line.run) - lane[line.model],
                model_mark(str(line.model), present),
                across=(line.low, line.high),
                size=7.5,
                star=12,
                elinewidth=1.3,
            )
        axes.set_title(_COMPARED[measure], fontsize=11)
        axes.set_ylim(len(runs) - 0.5, -0.5)
        for edge in np.arange(0.5, len(runs) - 1):
            axes.axhline(edge, color=LINE, linewidth=0.8)
        axes.grid(False, axis="y")
        if measure[0] != "similarity":
            share_axis(axes, "x", 0.08)
            axes.set_xticks([0, 0.5, 1])
        else:
            axes.set_xlim(-1.1, 1.1)
            axes.set_xticks([-1, 0, 1])
            axes.axvline(0, color=FAINT, linewidth=0.9)
    grid[0].set_yticks(range(len(runs)), runs)
    grid[0].tick_params(axis="y", length=0)
    handles = [mark_handle(model_mark(name, present)) for name in present]
    legend_above(figure, handles, present, len(present))
    return figure
