"""The benchmark as pictures: what was left and what was lost, who ranks where, at what cost."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from erasekit.frames import records, where
from erasekit.plots.style import (
    FAINT,
    INK,
    LINE,
    MODELS,
    WIDTH,
    Mark,
    label_points,
    model_mark,
    styled,
)

_NAMES = {"fine_tune": "control"}


def methods_data(found: pd.DataFrame) -> pd.DataFrame:
    """Means over tasks and seeds by method, best average gap first, numbered from 1.

    Args:
        found: results of the benchmark: method, kind, average_gap, gaps of the measures in
            points (``top1_forget_gap``, ``top1_retain_gap``), retraining_share.

    Returns:
        columns number (0 for references), method, kind, average_gap, forget, retain, cost.
    """
    chosen = found[found["kind"].isin(["method", "reference"])]
    data = (
        chosen.groupby(["method", "kind"], sort=False)
        .agg(
            average_gap=("average_gap", "mean"),
            forget=("top1_forget_gap", "mean"),
            retain=("top1_retain_gap", "mean"),
            cost=("retraining_share", "mean"),
        )
        .reset_index()
        .sort_values("average_gap", ignore_index=True)
    )
    own = data["kind"] == "method"
    data["number"] = own.cumsum().where(own, 0)
    return data


def pareto_front(data: pd.DataFrame) -> pd.DataFrame:
    """The methods that no other beats on both: nearer to the oracle on forget and on retain."""
    methods = where(data, kind="method").dropna(subset=["forget", "retain"])
    front = [
        line
        for line in records(methods)
        if not any(
            abs(other.forget) <= abs(line.forget)
            and abs(other.retain) <= abs(line.retain)
            and other.method != line.method
            and (abs(other.forget), abs(other.retain)) != (abs(line.forget), abs(line.retain))
            for other in records(methods)
        )
    ]
    return pd.DataFrame(front, columns=list(methods.columns)).sort_values("forget")


@styled
def methods_tradeoff(found: pd.DataFrame) -> Figure:
    """What each method leaves of the forgotten and loses of the retained, against the oracle.

    Zero on both axes is the oracle. Ringed: the methods that none beats on both.

    Args:
        found: see `methods_data`.
    """
    data = methods_data(found)
    figure, axes = plt.subplots(figsize=(WIDTH, 5.2))
    axes.axhline(0, color=FAINT, lw=0.9, ls=":")
    axes.axvline(0, color=FAINT, lw=0.9, ls=":")
    star = MODELS["oracle"]
    axes.plot(0, 0, star.marker, mfc="none", mec=star.colour, mew=2, ms=26, zorder=6)
    front = set(pareto_front(data)["method"])
    placed = data.dropna(subset=["forget"])
    for line in records(placed):
        _point(axes, line.method, line.forget, line.retain, ring=line.method in front)
    axes.set_xlabel("top-1 on the forgotten, gap in points   (above 0: not all is forgotten)")
    axes.set_ylabel("top-1 on the retained, gap in points   (below 0: loss)")
    _key(figure, data, extra=[("oracle", star)])
    across, up = axes.get_xlim(), axes.get_ylim()
    cross = [(across[0], 0, across[1], 0), (0, up[0], 0, up[1]), (-2, -2, 2, 2)]
    _number(axes, placed, "forget", "retain", cross)
    return figure


@styled
def methods_cost(found: pd.DataFrame) -> Figure:
    """Average gap against cost, as a share of retraining; the floor is an oracle's own gap.

    Args:
        found: see `methods_data`, with the results of kind floor.
    """
    data = methods_data(found).dropna(subset=["cost"])
    figure, axes = plt.subplots(figsize=(WIDTH, 5.2))
    floors = where(found, kind="floor")["average_gap"].to_numpy(float)
    if len(floors):
        floor = float(floors.mean())
        axes.axhline(floor, color=MODELS["oracle"].colour, lw=1.5, ls="--")
        axes.annotate(
            "an oracle of another seed",
            (0.01, floor),
            xycoords=("axes fraction", "data"),
            xytext=(0, -5),
            textcoords="offset points",
            ha="left",
            va="top",
            color=MODELS["oracle"].colour,
        )
    for line in records(data):
        _point(axes, line.method, line.cost, line.average_gap)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("cost, share of retraining")
    axes.set_ylabel("average gap in points   (lower is better)")
    _key(figure, data)
    _number(axes, data, "cost", "average_gap")
    return figure


def _point(axes: Axes, method: str, x: float, y: float, ring: bool = False) -> None:
    mark = model_mark(method)
    if ring:
        axes.plot(x, y, "o", ms=19, mfc="none", mec=INK, mew=1.2, zorder=3)
    axes.plot(x, y, mark.marker, color=mark.colour, ms=13, mec="white", zorder=4)


def _number(axes: Axes, data: pd.DataFrame, across: str, up: str, bars: Sequence = ()) -> None:
    """The number of each method beside its mark."""
    own = records(where(data, kind="method"))
    labels = [(str(line.number), getattr(line, across), getattr(line, up)) for line in own]
    label_points(axes, labels, [INK] * len(labels), bars, fontsize=9, fontweight="bold")


def _key(figure: Figure, data: pd.DataFrame, extra: Sequence[tuple[str, Mark]] = ()) -> None:
    """Numbers and names at the right, in the order of the average gap."""
    entries = [
        (
            f"{line.number}  {line.method}"
            if line.number
            else _NAMES.get(line.method) or str(line.method)
        )
        for line in records(data)
    ]
    marks = [model_mark(method) for method in data["method"]]
    entries += [name for name, _ in extra]
    marks += [mark for _, mark in extra]
    handles = [
        Line2D([], [], color=m.colour, marker=m.marker, ms=9, mec="white", lw=0) for m in marks
    ]
    figure.legend(handles, entries, loc="outside right center", fontsize=10, labelspacing=0.35)


def groups_alike(ranks: pd.Series, critical_difference: float) -> list[tuple[float, float]]:
    """The longest stretches of mean ranks within which none can be told apart: first, last."""
    values = sorted(ranks)
    stretches = []
    for first in values:
        last = max(value for value in values if value - first <= critical_difference)
        if last > first and (not stretches or last > stretches[-1][1]):
            stretches.append((first, last))
    return stretches


@styled
def critical_difference(ranks: pd.Series, difference: float, tasks: int) -> Figure:
    """Mean ranks over tasks; methods under one bar cannot be told apart.

    Args:
        ranks: mean rank by method, 1 the best.
        difference: the least that can be told apart.
        tasks: how many tasks the ranks are means over.
    """
    ranks = ranks.sort_values()
    k = len(ranks)
    left, right = list(ranks.items())[: (k + 1) // 2], list(ranks.items())[(k + 1) // 2 :][::-1]
    stretches = groups_alike(ranks, difference)
    rows = max(len(left), len(right))
    figure, axes = plt.subplots(figsize=(WIDTH, 1.6 + 0.13 * len(stretches) + 0.3 * rows))
    top = 0.35 * len(stretches) + 0.6
    for place, (first, last) in enumerate(stretches):
        y = -0.35 * (place + 1)
        axes.plot([first - 0.06, last + 0.06], [y, y], color=INK, lw=4, solid_capstyle="butt")
    for side, named in ((-1, left), (1, right)):
        edge = 0.4 if side < 0 else k + 0.6
        for row, (name, rank) in enumerate(named):
            y, mark = -(top + 0.62 * row), model_mark(str(name))
            axes.plot([rank, rank, edge], [0, y, y], color=LINE, lw=1)
            axes.plot(rank, 0, mark.marker, color=mark.colour, ms=7, mec="white", zorder=3)
            axes.text(
                edge + 0.1 * side,
                y,
                f"{name}  {rank:.1f}" if side < 0 else f"{rank:.1f}  {name}",
                ha="right" if side < 0 else "left",
                va="center",
                fontsize=10,
            )
    axes.plot([1, 1 + difference], [1.1, 1.1], color=INK, lw=2, marker="|", ms=9)
    axes.text(1, 1.35, f"critical difference, {tasks} tasks", fontsize=10, color=FAINT)
    axes.plot([1, k], [0, 0], color=INK, lw=1.2)
    for tick in range(1, k + 1):
        axes.plot([tick, tick], [0, 0.16], color=INK, lw=1)
        axes.text(tick, 0.28, str(tick), ha="center", fontsize=9)
    axes.set(xlim=(-0.18 * k, 1.25 * k), ylim=(-(top + 0.62 * rows), 2.0))
    axes.axis("off")
    return figure
