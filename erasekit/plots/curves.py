"""Loss terms over the steps of an erasure, and the validation split beside them."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from erasekit.frames import where
from erasekit.plots.style import (
    FAINT,
    FORGOTTEN,
    INK,
    NEIGHBOUR,
    WIDTH,
    share_axis,
    styled,
    term_mark,
)

_VALIDATION = "validation_"


def loss_terms_data(history: Sequence[dict[str, float]] | pd.DataFrame) -> pd.DataFrame:
    """The history in long form.

    Args:
        history: one row a step, as `Erasure.history` or `history.csv` has it; the terms
            carry their weights, so that they add up to ``loss``.

    Returns:
        columns step (1 is the first), kind (term or validation), name, value; a term or
        check that a step has not is left out.
    """
    frame = pd.DataFrame(history).melt("step", var_name="name", value_name="value").dropna()
    checks = frame["name"].str.startswith(_VALIDATION)
    frame["kind"] = checks.map({True: "validation", False: "term"})
    frame["name"] = frame["name"].str.removeprefix(_VALIDATION)
    frame["step"] = frame["step"].astype(int) + 1
    return frame.reindex(columns=["step", "kind", "name", "value"]).reset_index(drop=True)


@styled
def loss_terms(history: Sequence[dict[str, float]] | pd.DataFrame, title: str = "") -> Figure:
    """Each loss term over the steps; below, top-1 on validation where it was looked at.

    Args:
        history: one row a step, see `loss_terms_data`.
        title: above the picture.
    """
    data = loss_terms_data(history)
    terms, checks = where(data, kind="term"), where(data, kind="validation")
    panels = 2 if len(checks) else 1
    figure, grid = plt.subplots(
        panels,
        1,
        figsize=(WIDTH, 4.2 if panels == 1 else 6.2),
        sharex=True,
        squeeze=False,
        height_ratios=[3, 2][:panels],
    )
    above = grid[0, 0]
    names = list(dict.fromkeys(terms["name"]))
    if len(names) == 2:  # a single term is the loss itself
        names.remove("loss")
    for name in names:
        mark, line = term_mark(name, names), where(terms, name=name)
        above.plot(
            line["step"],
            line["value"],
            color=mark.colour,
            linestyle=mark.dash,
            linewidth=2.4 if name == "loss" else 2,
            label="sum (the loss)" if name == "loss" else name,
        )
    above.axhline(0, color=FAINT, linewidth=0.8)
    above.set_ylabel("loss term, weighted")
    if names:  # a closed form takes no steps, and has no terms
        above.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    if title:
        above.set_title(title)
    if len(checks):
        below = grid[1, 0]
        looks = {"forget": (FORGOTTEN, "o", "-"), "retain": (NEIGHBOUR, "s", "--")}
        for name, line in checks.groupby("name"):
            colour, marker, dash = looks.get(str(name), (INK, "^", ":"))
            below.plot(
                line["step"],
                line["value"],
                color=colour,
                marker=marker,
                linestyle=dash,
                markeredgecolor="white",
                markersize=8,
                label=str(name),
            )
        share_axis(below, "y", 0.04)
        below.set_ylabel("validation top-1")
        below.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    grid[-1, 0].set_xlabel("step")
    grid[-1, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
