"""The audit as pictures: the verdict of each test, and what each of them measured."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, PercentFormatter

from erasekit.audit.attack_registry import TESTS
from erasekit.audit.audit_result import Audit
from erasekit.audit.base import is_oracle
from erasekit.audit.judging import MEAN
from erasekit.audit.names import AUDITED, ORACLE, ORIGINAL
from erasekit.audit.verdict import AS_THE_ORACLE, CANNOT_TELL, LESS, MORE
from erasekit.frames import records, where
from erasekit.plots.style import FAINT, INK, LINE, WIDTH, Mark, legend_above, model_mark, styled

#: A verdict has its colour, its marker and its word: none of them is needed to read another.
VERDICT_MARKS = {
    LESS: Mark("#D55E00", "^"),
    MORE: Mark("#0072B2", "v"),
    AS_THE_ORACLE: Mark("#009E73", "*"),
    CANNOT_TELL: Mark("#8A8F98", "o"),
}
_GAP_AXIS = {
    ORACLE: "← more taken than by the oracle     gap in points     more left →",
    ORIGINAL: "← less than the original     change in points; no oracle     more →",
}
_SHORT = {LESS: "less forgotten", MORE: "over-forgetting"}


def _short(verdict: str) -> str:
    return _SHORT.get(verdict, verdict)


def audit_verdicts_data(audit: Audit) -> pd.DataFrame:
    """One value for each test: test, title, what, gap, low, high, margin, verdict.

    Gaps and margins are in points, to the audit's `reference`. Of what decides the test's
    verdict it is the value that lies farthest from it; what has no gap is left empty.
    """
    frame, lines = audit.frame(), []
    for report in audit.tests:
        own = where(frame, test=report.name, model=AUDITED, verdict=report.verdict)
        metrics = {metric.name: metric for metric in TESTS[report.name].metrics}
        judged = [m for m, metric in metrics.items() if metric.sense != "reported"]
        own = own.loc[own["gap"].notna() & own["metric"].isin(judged)]
        if report.verdict in (AS_THE_ORACLE, CANNOT_TELL):  # the means decide, where there are any
            acquitting = own.loc[own["metric"].isin([m for m in judged if metrics[m].acquits])]
            means = where(acquitting, condition=MEAN)
            own = means if len(means) else acquitting if len(acquitting) else own
        line: dict[str, object] = {
            "test": report.name,
            "title": report.title,
            "what": "",
            "gap": np.nan,
            "low": np.nan,
            "high": np.nan,
            "margin": np.nan,
            "verdict": report.verdict,
        }
        if len(own):
            row = own.loc[own["gap"].abs().idxmax()]
            label = metrics[str(row["metric"])].label
            line |= {
                "what": ", ".join(filter(None, [label, str(row["condition"])])),
                "gap": 100 * row["gap"],
                "low": 100 * row["gap_low"],
                "high": 100 * row["gap_high"],
                "margin": 100 * row["margin"] if pd.notna(row["margin"]) else np.nan,
            }
        lines.append(line)
    return pd.DataFrame(lines)


@styled
def audit_verdicts(audit: Audit) -> Figure:
    """One line a test: how far the erased model is from the oracles, and what that means.

    Zero is the mean of the oracles, the grey band how far oracles differ among
    themselves; to the right something is left, to the left too much was taken. Of each
    test the value that decides its verdict is shown. Without an oracle zero is the
    original, and the picture shows what changed.
    """
    data = audit_verdicts_data(audit)
    figure, axes = plt.subplots(figsize=(WIDTH, 1.5 + 0.62 * len(data)))
    for place, line in enumerate(records(data)):
        mark = VERDICT_MARKS[line.verdict]
        if not np.isnan(line.gap):
            if not np.isnan(line.margin):
                axes.barh(place, 2 * line.margin, 0.62, -line.margin, color="#E3E6EA", zorder=1)
            axes.errorbar(
                line.gap,
                place,
                xerr=[[max(0, line.gap - line.low)], [max(0, line.high - line.gap)]],
                fmt=mark.marker,
                color=mark.colour,
                markersize=14 if mark.marker == "*" else 9,
                markeredgecolor="white",
                elinewidth=1.6,
                capsize=3,
                zorder=3,
            )
        axes.text(
            1.02,
            place - 0.17,
            _short(line.verdict),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontweight="bold",
            color=mark.colour,
        )
        axes.text(
            1.02,
            place + 0.22,
            line.what,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=9,
            color=FAINT,
        )
    axes.set_yticks(range(len(data)), list(data["title"]))
    axes.set_ylim(len(data) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.axvline(0, color=INK, linewidth=1, zorder=2)
    reach = np.nanmax(np.abs(data[["low", "high", "margin"]].to_numpy(float)), initial=10)
    axes.set_xlim(-1.08 * reach, 1.08 * reach)
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: f"{x:+.0f}".replace("-", "−") if x else "0")
    )
    axes.set_xlabel(_GAP_AXIS[audit.reference])
    return figure


def audit_values_data(audit: Audit, test: str) -> pd.DataFrame:
    """Every value of one test: model, label (metric, condition), value, low, high, verdict."""
    found = where(audit.frame(), test=test)
    labels = {metric.name: metric.label for metric in TESTS[test].metrics}
    label = [
        labels[metric] + (f"\n{condition}" if condition else "")
        for metric, condition in zip(found["metric"], found["condition"], strict=True)
    ]
    kept = found[["model", "metric", "condition", "value", "low", "high", "verdict"]]
    return kept.assign(label=label).reset_index(drop=True)


@styled
def audit_values(audit: Audit, test: str) -> Figure:
    """What one test measured: original, erased, and the oracles as a band with their mean.

    Args:
        test: a name of `audit.registry` that the audit ran.
    """
    audit.report(test)
    data = audit_values_data(audit, test)
    metrics = list(dict.fromkeys(data["metric"]))
    sizes = [len(set(where(data, metric=metric)["condition"])) for metric in metrics]
    figure, grid = plt.subplots(
        len(metrics),
        1,
        figsize=(WIDTH, 1.0 + sum(0.55 + 0.42 * size for size in sizes)),
        height_ratios=[1.2 + size for size in sizes],
        squeeze=False,
    )
    for axes, metric in zip(grid[:, 0], metrics, strict=True):
        declared = TESTS[test].metric(metric)
        _values_panel(axes, where(data, metric=metric))
        axes.set_title(declared.label, fontsize=12)
        if declared.unit == "cosine":
            axes.axvline(0, color=FAINT, linewidth=1, zorder=1)
        elif declared.unit == "share":
            axes.set_xlim(-0.03, 1.03)
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    labels = {ORIGINAL: _point_handle(ORIGINAL), AUDITED: _point_handle(AUDITED)}
    if audit.oracles:
        labels |= {"oracles, mean": _point_handle(ORACLE), "oracles, range": Patch(color=_BAND)}
    legend_above(figure, list(labels.values()), list(labels), 4)
    return figure


_BAND = "#BFE3D6"


def _values_panel(axes: Axes, data: pd.DataFrame) -> None:
    conditions = list(dict.fromkeys(data["condition"]))
    for place, condition in enumerate(conditions):
        part = where(data, condition=condition)
        oracles = part.loc[[is_oracle(str(model)) for model in part["model"]], "value"]
        if len(oracles):
            low, high = oracles.min(), oracles.max()
            axes.barh(place, high - low, 0.62, low, color=_BAND, edgecolor=_BAND, lw=3, zorder=1)
            _point(axes, ORACLE, oracles.mean(), place)
        for line in records(part):
            if not is_oracle(line.model):
                shift = -0.13 if line.model == ORIGINAL else 0.13
                _point(axes, line.model, line.value, place + shift, line.low, line.high)
            if line.model == AUDITED:
                axes.text(
                    1.02,
                    place,
                    _short(line.verdict) if isinstance(line.verdict, str) else "",
                    transform=axes.get_yaxis_transform(),
                    va="center",
                    fontsize=10,
                    color=VERDICT_MARKS[line.verdict].colour if line.verdict else FAINT,
                )
    axes.set_yticks(range(len(conditions)), [c or "all" for c in conditions])
    axes.set_ylim(len(conditions) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")


def _point(
    axes: Axes,
    model: str,
    value: float,
    place: float,
    low: float | None = None,
    high: float | None = None,
) -> None:
    mark = model_mark(model, (model,))
    axes.errorbar(
        value,
        place,
        xerr=None
        if low is None or high is None
        else [[max(0, value - low)], [max(0, high - value)]],
        fmt=mark.marker,
        color=mark.colour,
        markersize=13 if mark.marker == "*" else 8,
        markeredgecolor="white",
        elinewidth=1.2,
        zorder=3,
    )


def _point_handle(model: str) -> Line2D:
    mark = model_mark(model, (model,))
    return Line2D(
        [],
        [],
        color=mark.colour,
        marker=mark.marker,
        markersize=13 if mark.marker == "*" else 8,
        markeredgecolor="white",
        linewidth=0 if model == ORACLE else 1.2,
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
    grid[0][0].set_ylim(-0.03, 1.03)
    grid[0][0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    grid[0][0].set_ylabel("top-1 on the forgotten")
    shown = [model for model in models if not is_oracle(model) or model == ORACLE]
    others = len(models) > len(shown)
    handles = [_point_handle(model) for model in shown]
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
                _point(axes, model, getattr(line, model), place)
    axes.set_yticks(
        range(len(data)),
        [f"{c} ({g})" for c, g in zip(data["concept"], data["group"], strict=True)],
    )
    axes.set_ylim(len(data) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(-0.03, 1.03)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("top-1 on test pictures of the concept")
    legend_above(figure, [_point_handle(name) for name in names], names, len(names))
    return figure


def audit_figures(audit: Audit) -> dict[str, Figure]:
    """Every picture that the audit has the data for, by its name."""
    ran: Sequence[str] = list(audit.verdicts)
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
