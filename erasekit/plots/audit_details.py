"""What single tests of an audit found, as pictures: relearning, layers, languages, collateral."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from erasekit.audit.base import is_oracle
from erasekit.audit.names import AUDITED, ORACLE, ORIGINAL
from erasekit.audit.suite import Audit
from erasekit.frames import records, where
from erasekit.plots.audit import audit_handle, audit_point, audit_values, audit_verdicts
from erasekit.plots.style import (
    INK,
    LINE,
    WIDTH,
    legend_above,
    model_mark,
    name_rows,
    share_axis,
    styled,
)


def relearning_curves_data(audit: Audit) -> pd.DataFrame:
    """Top-1 on the forgotten while relearning: model, k, step, accuracy, low, high."""
    return pd.DataFrame(audit.details["relearning"])


@styled
def relearning_curves(audit: Audit) -> Figure:
    """How fast each model relearns what was forgotten, a panel for each number of pairs."""
    data = relearning_curves_data(audit)
    pairs, models = sorted(data["k"].unique()), list(dict.fromkeys(data["model"]))
    figure, grid = plt.subplots(1, len(pairs), figsize=(WIDTH, 3.6), sharey=True, squeeze=False)
    for axes, k in zip(grid[0], pairs, strict=True):
        for model in models:
            line = where(data, k=k, model=model).sort_values("step")
            mark = model_mark(ORACLE if is_oracle(model) else model, models)
            main = not is_oracle(model) or model == ORACLE
            axes.plot(
                line["step"],
                line["accuracy"],
                color=mark.colour,
                marker=mark.marker if main else "",
                markersize=10 if mark.marker == "*" else 6,
                markeredgecolor="white",
                linewidth=2 if main else 1.1,
                alpha=1 if main else 0.6,
            )
        axes.set_title(f"{k} pair{'s' if k > 1 else ''}", fontsize=11)
    figure.supxlabel("steps of learning these pairs of each forgotten concept again", fontsize=12)
    share_axis(grid[0][0], "y")
    grid[0][0].set_ylabel("top-1 on the forgotten")
    shown = [model for model in models if not is_oracle(model) or model == ORACLE]
    others = len(models) > len(shown)
    handles = [audit_handle(model) for model in shown]
    if others:
        handles.append(Line2D([], [], color=model_mark(ORACLE).colour, linewidth=1.1, alpha=0.6))
    legend_above(figure, handles, [*shown, *(["oracles of other seeds"] if others else [])], 4)
    return figure


def readable_layers_data(audit: Audit, probe: str = "linear") -> dict[str, pd.DataFrame]:
    """By tower: how well a probe reads the forgotten concepts, layers by models."""
    data = where(pd.DataFrame(audit.details["probes"]), subset="forget", probe=probe)
    tables = {}
    for tower in dict.fromkeys(data["tower"]):
        part = where(data, tower=tower)
        table = part.pivot_table(index="layer", columns="model", values="accuracy", sort=False)
        tables[str(tower)] = table[list(dict.fromkeys(part["model"]))]
    return tables


@styled
def readable_layers(audit: Audit, probe: str = "linear") -> Figure:
    """Where the forgotten is still readable: layer by model, a panel for each tower."""
    tables = readable_layers_data(audit, probe)
    figure, grid = plt.subplots(
        1,
        len(tables),
        figsize=(WIDTH, 1.6 + 0.45 * max(map(len, tables.values()))),
        squeeze=False,
    )
    for axes, (tower, table) in zip(grid[0], tables.items(), strict=True):
        _heat(axes, 100 * table, "{:.0f}")
        axes.set_title(f"{tower} tower, % right")
    return figure


def language_map_data(audit: Audit) -> dict[str, pd.DataFrame]:
    """By model: top-1 on each forgotten concept (rows) named in each language (columns).

    Missing where the original does not know the concept by that name.
    """
    data = pd.DataFrame(audit.details["language_leaks"])
    tables = {}
    for model in (ORIGINAL, AUDITED, ORACLE):
        part = where(data, model=model)
        if len(part):
            table = part.assign(top1=part["top1"].astype(float)).pivot(
                index="concept", columns="language", values="top1"
            )
            order = dict.fromkeys(part["concept"]), dict.fromkeys(part["language"])
            tables[model] = table.reindex(index=list(order[0]), columns=list(order[1]))
    return tables


@styled
def language_map(audit: Audit) -> Figure:
    """Which forgotten concept still answers to its name in which language."""
    tables = language_map_data(audit)
    figure, grid = plt.subplots(
        1,
        len(tables),
        figsize=(WIDTH, 1.4 + 0.42 * max(map(len, tables.values()))),
        sharey=True,
        squeeze=False,
    )
    for axes, (model, table) in zip(grid[0], tables.items(), strict=True):
        _heat(axes, 100 * table, "{:.0f}")
        axes.set_title(model)
    return figure


def _heat(axes: Axes, table: pd.DataFrame, form: str) -> None:
    """A heat map from 0 to 100 with its numbers; a dash where there is none."""
    values = table.to_numpy(float)
    shown = np.ma.masked_invalid(values)
    axes.imshow(shown, vmin=0, vmax=100, cmap=_HEAT, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else form.format(value)
        dark = not np.isnan(value) and value > 55
        axes.text(
            column, row, text, ha="center", va="center", fontsize=10, color="white" if dark else INK
        )
    axes.set_xticks(range(table.shape[1]), list(table.columns), rotation=30, ha="right")
    axes.set_yticks(range(table.shape[0]), list(table.index))
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


_HEAT = sns.light_palette("#0072B2", as_cmap=True)


def collateral_data(audit: Audit) -> pd.DataFrame:
    """The retained concepts that lost most: concept, group, and top-1 by model."""
    return pd.DataFrame(audit.details["over_forgetting"])


@styled
def collateral(audit: Audit) -> Figure:
    """The retained concepts that lost most, chosen on validation, measured on test."""
    data = collateral_data(audit)
    figure, axes = plt.subplots(figsize=(WIDTH, 1.1 + 0.42 * len(data)))
    names = [model for model in (ORIGINAL, ORACLE, AUDITED) if model in data.columns]
    for place, line in enumerate(records(data)):
        axes.plot(
            [getattr(line, ORIGINAL), getattr(line, AUDITED)], [place, place], color=LINE, lw=3
        )
        for model in names:
            if pd.notna(getattr(line, model)):
                audit_point(axes, model, getattr(line, model), place)
    name_rows(axes, [f"{c} ({g})" for c, g in zip(data["concept"], data["group"], strict=True)])
    share_axis(axes, "x")
    axes.set_xlabel("top-1 on test pictures of the concept")
    legend_above(figure, [audit_handle(name) for name in names], names, len(names))
    return figure


def audit_figures(audit: Audit) -> dict[str, Figure]:
    """Every picture that the audit has the data for, by its name."""
    ran = list(audit.verdicts)
    figures = {"audit_verdicts": audit_verdicts(audit)}
    for test, name, draw in (
        ("relearning", "relearning_curves", relearning_curves),
        ("probes", "readable_layers", readable_layers),
        ("language_leaks", "language_map", language_map),
        ("over_forgetting", "collateral", collateral),
    ):
        if test in ran and audit.details.get(test):
            figures[f"audit_{name}"] = draw(audit)
    for test in ran:
        figures[f"audit_values_{test}"] = audit_values(audit, test)
    return figures
