"""Forgetting against retaining: each model a point, the oracle the one to meet."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from erasekit.evaluate.scorecard import Scorecard
from erasekit.frames import records
from erasekit.plots.style import (
    FAINT,
    WIDTH,
    draw_point,
    label_points,
    model_mark,
    share_axis,
    styled,
)

#: What the axes are called, by the main metric.
_WORDS = {
    "top1": ("top-1", "concepts"),
    "recall@1": ("R@1, picture to caption,", "pairs"),
    "accuracy:name": ("right names", "things"),
}
Points = Mapping[str, tuple[float, float]]


def forget_retain_data(scores: Scorecard | Points) -> pd.DataFrame:
    """The main metric on forget and on retain of each model: top-1, if pictures have names.

    Args:
        scores: a scorecard, or (forget, retain) by the model's name, from 0 to 1.

    Returns:
        indexed by model; columns forget, retain, and forget_low, forget_high,
        retain_low, retain_high, which are missing values where no interval is known.
    """
    if not isinstance(scores, Scorecard):
        frame = pd.DataFrame.from_dict(dict(scores), orient="index", columns=["forget", "retain"])
        for name in ("forget", "retain"):
            frame[f"{name}_low"] = frame[f"{name}_high"] = float("nan")
        return frame.rename_axis("model")
    lines: dict[str, dict[str, float]] = {model: {} for model in scores.models}
    for row in scores.rows:
        asked = row.metric == scores.main_metric and row.direction != "text_to_image"
        if asked and row.subset in ("forget", "retain"):
            lines[row.model] |= {
                row.subset: row.value,
                f"{row.subset}_low": row.low,
                f"{row.subset}_high": row.high,
            }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("model")


@styled
def forget_retain(scores: Scorecard | Points) -> Figure:
    """Forgotten (across) against retained (up) by the main metric, with intervals over concepts.

    The thin cross goes through the oracle: an erased model right on it did what
    retraining would have done.

    Args:
        scores: a scorecard, or (forget, retain) by the model's name, from 0 to 1.
    """
    data = forget_retain_data(scores)
    figure, axes = plt.subplots(figsize=(WIDTH, 5.4))
    names = [str(name) for name in data.index]
    if "oracle" in data.index:
        axes.axvline(data.loc["oracle", "forget"], color=FAINT, linewidth=0.9, linestyle=":")
        axes.axhline(data.loc["oracle", "retain"], color=FAINT, linewidth=0.9, linestyle=":")
    for line in records(data.reset_index()):
        draw_point(
            axes,
            line.forget,
            line.retain,
            model_mark(str(line.model), names),
            across=(line.forget_low, line.forget_high),
            up=(line.retain_low, line.retain_high),
            size=11,
            star=17,
            elinewidth=1.4,
            capsize=3,
            zorder=3,
        )
    share_axis(axes, "x", 0.06)
    share_axis(axes, "y", 0.06)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    measure, of = _WORDS[scores.main_metric if isinstance(scores, Scorecard) else "top1"]
    axes.set_xlabel(f"{measure} on forgotten {of}   (further left: more forgotten)")
    axes.set_ylabel(f"{measure} on retained {of}   (higher: more kept)")
    lines = records(data.reset_index())
    bars = [
        bar
        for p in lines
        if pd.notna(p.forget_low)
        for bar in (
            (p.forget_low, p.retain, p.forget_high, p.retain),
            (p.forget, p.retain_low, p.forget, p.retain_high),
        )
    ]
    if "oracle" in data.index:
        x, y = data.loc["oracle", ["forget", "retain"]]
        bars += [(x, -1, x, 2), (-1, y, 2, y)]
    labels = [(str(p.model), p.forget, p.retain) for p in lines]
    colours = [model_mark(name, names).colour for name in names]
    label_points(axes, labels, colours, bars, fontweight="bold")
    return figure
