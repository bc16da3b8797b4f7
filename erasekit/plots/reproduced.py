"""What was reported against what came out, a panel a data set."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from erasekit.frames import records
from erasekit.plots.style import INK, WIDTH, legend_above, model_mark, styled


def against_reported_data(found: pd.DataFrame) -> pd.DataFrame:
    """What the picture shows: columns title, model, subset, ours, deviation, reported.

    Args:
        found: see `erasekit.tutorial.reproduction_tables.numbers`.

    Returns:
        a line a data set, subset and model, in points; `reported` is missing where it is not
        known or cannot be compared, and `deviation` is 0 for one seed.
    """
    told = found.reset_index()
    told["reported"] = told["reported"].where(told["comparable"])
    told["deviation"] = told["deviation"].fillna(0)
    columns = ["title", "model", "subset", "ours", "deviation", "reported"]
    return told.reindex(columns=columns)


@styled
def against_reported(found: pd.DataFrame) -> Figure:
    """Forget and retain of each model: filled what came out, hollow what was reported.

    Args:
        found: see `erasekit.tutorial.reproduction_tables.numbers`.
    """
    data = against_reported_data(found)
    models, subsets = list(data["model"].unique()), list(data["subset"].unique())
    groups = data.groupby("title", sort=False)
    figure, panels = plt.subplots(1, len(groups), figsize=(WIDTH, 3.8), sharey=True, squeeze=False)
    for axes, (title, part) in zip(panels[0], groups, strict=True):
        for line in records(part):
            mark = model_mark(line.model, models)
            x = subsets.index(line.subset) + 0.22 * (models.index(line.model) - 1)
            axes.errorbar(
                x,
                line.ours,
                line.deviation or None,
                fmt=mark.marker,
                color=mark.colour,
                markersize=10,
                capsize=3,
            )
            if math.isfinite(line.reported):
                axes.plot(x, line.reported, mark.marker, mfc="none", mec=mark.colour, ms=15)
        axes.set_title(str(title))
        axes.set(xlim=(-0.5, len(subsets) - 0.5), ylim=(-4, 104))
        axes.set_xticks(range(len(subsets)), subsets)
    panels[0][0].set_ylabel("points")
    marks = [model_mark(model, models) for model in models]
    handles = [Line2D([], [], marker=m.marker, color=m.colour, ls="", ms=10) for m in marks]
    labels = [str(model) for model in models]
    if np.isfinite(data["reported"].to_numpy(dtype=float)).any():
        handles.append(Line2D([], [], marker="o", mfc="none", mec=INK, ls="", ms=13))
        labels.append("reported (2nd)")
    legend_above(figure, handles, labels, columns=len(labels))
    return figure
