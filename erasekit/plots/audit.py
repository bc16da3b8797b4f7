"""An audit as pictures: the verdict of each test, and every value that a test measured."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from erasekit.audit.attack_registry import TESTS
from erasekit.audit.audit_result import Audit
from erasekit.audit.base import is_oracle
from erasekit.audit.judging import MEAN
from erasekit.audit.names import AUDITED, ORACLE, ORIGINAL
from erasekit.audit.verdict import AS_THE_ORACLE, CANNOT_TELL, LESS, MORE
from erasekit.frames import records, where
from erasekit.plots.style import (
    FAINT,
    INK,
    WIDTH,
    Mark,
    draw_point,
    legend_above,
    mark_handle,
    model_mark,
    name_rows,
    share_axis,
    styled,
)

#: A verdict has its colour, its marker and its word: none of them is needed to read another.
VERDICT_MARKS = {
    LESS: Mark("#D55E00", "^"),
    MORE: Mark("#0072B2", "v"),
    AS_THE_ORACLE: Mark("#009E73", "*"),
    CANNOT_TELL: Mark("#8A8F98", "o"),
}
_GAP_AXIS = {
    ORACLE: "← forgets more than the oracle     gap in points     retains more →",
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

    Zero is the mean of the oracles. The grey band is the margin: within it, an innocent
    model may lie by chance; the line through a point is its gap's 95 % range. To the right
    something is left, to the left too much was taken. Of each test the value that decides
    its verdict is shown. Without an oracle zero is the original, and the picture shows what
    changed.
    """
    data = audit_verdicts_data(audit)
    figure, axes = plt.subplots(figsize=(WIDTH, 1.5 + 0.62 * len(data)))
    for place, line in enumerate(records(data)):
        mark = VERDICT_MARKS[line.verdict]
        if not np.isnan(line.gap):
            if not np.isnan(line.margin):
                axes.barh(place, 2 * line.margin, 0.62, -line.margin, color="#E3E6EA", zorder=1)
            draw_point(
                axes,
                line.gap,
                place,
                mark,
                across=(line.low, line.high),
                size=9,
                star=14,
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
    name_rows(axes, list(data["title"]))
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
        test: a name of `audit.attack_registry` that the audit ran.
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
            share_axis(axes, "x")
    labels = {ORIGINAL: audit_handle(ORIGINAL), AUDITED: audit_handle(AUDITED)}
    if audit.oracles:
        labels |= {"oracles, mean": audit_handle(ORACLE), "oracles, range": Patch(color=_BAND)}
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
            audit_point(axes, ORACLE, oracles.mean(), place)
        for line in records(part):
            if not is_oracle(line.model):
                shift = -0.13 if line.model == ORIGINAL else 0.13
                audit_point(axes, line.model, line.value, place + shift, (line.low, line.high))
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
    name_rows(axes, [c or "all" for c in conditions])


def audit_point(
    axes: Axes, model: str, value: float, place: float, interval: tuple[float, float] | None = None
) -> None:
    """A value of a model in a row of a picture."""
    draw_point(
        axes, value, place, model_mark(model, (model,)), across=interval, elinewidth=1.2, zorder=3
    )


def audit_handle(model: str) -> Line2D:
    """How a model looks in the legend of an audit's picture; the oracle has no line."""
    return mark_handle(model_mark(model, (model,)), 0 if model == ORACLE else 1.2)
