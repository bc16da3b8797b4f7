"""Multimodal language models as pictures: what they still see and know, say, and may unlearn by."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from erasekit.data.question_list import Questions
from erasekit.frames import records, where
from erasekit.plots.style import (
    FORGOTTEN,
    MODELS,
    WIDTH,
    model_mark,
    show_picture,
    styled,
)

_MODULES = {"vision": MODELS["original"].colour, "projector": FORGOTTEN, "language": "#CC79A7"}


def seen_and_known_data(
    scores: pd.DataFrame, kind: str = "all", metric: str = "exact_match"
) -> pd.DataFrame:
    """Scores from 0 to 1: a row a model, a column a mode and subset.

    Args:
        scores: of `evaluate_mllm`.
        kind: of questions; "all" is over every kind. What has no such kind shows "all".
        metric: of `evaluate.METRICS`.
    """
    scores = where(scores, metric=metric)
    there = scores.groupby(["mode", "subset"])["kind"].transform(lambda of: kind in set(of))
    chosen = scores[scores["kind"].eq(kind) | (~there & scores["kind"].eq("all"))]
    return chosen.pivot_table(index="model", columns=["mode", "subset"], values="value", sort=False)


@styled
def seen_and_known(scores: pd.DataFrame, kind: str = "recognition") -> Figure:
    """What each model still recognises in pictures, and still knows in words.

    A row a model; what must go is the first column alone.

    Args:
        scores: of `evaluate_mllm`.
        kind: of the visual questions.
    """
    data = seen_and_known_data(scores, kind)
    modes = list(dict.fromkeys(mode for mode, _ in data.columns))
    figure, grid = plt.subplots(
        1, len(modes), figsize=(WIDTH, 0.42 * len(data) + 1.5), squeeze=False, sharey=True
    )
    words = {"visual": "recognised in pictures", "text": "answered in words"}
    for axes, mode in zip(grid.flat, modes, strict=True):
        part = data[mode] * 100
        sns.heatmap(
            part,
            ax=axes,
            vmin=0,
            vmax=100,
            cmap="cividis",
            annot=True,
            fmt=".0f",
            cbar=False,
            linewidths=2,
            linecolor="white",
            annot_kws={"fontsize": 12},
        )
        axes.set(title=f"{words[mode]}, %", xlabel="", ylabel="")
        axes.tick_params(length=0)
        axes.tick_params(axis="y", rotation=0)
        for label in axes.get_xticklabels():
            if label.get_text() == "forget" and mode == "visual":
                label.set(color="#B37400", fontweight="bold")
    return figure


def answers_gallery_data(questions: Questions, said: Mapping[str, list[str]]) -> pd.DataFrame:
    """What is written under each picture: columns image, question, answer, model, said, right."""
    lines = [
        (q.image, q.text, q.answer, model, texts[i], texts[i] == q.answer)
        for i, q in enumerate(questions)
        for model, texts in said.items()
    ]
    return pd.DataFrame(lines, columns=["image", "question", "answer", "model", "said", "right"])


@styled
def answers_gallery(questions: Questions, said: Mapping[str, list[str]]) -> Figure:
    """Pictures, what was asked about them, and what each model said; right answers are ticked.

    Args:
        questions: visual ones, one a picture.
        said: by model, its answers in the same order.
    """
    data = answers_gallery_data(questions, said)
    count, names = len(questions), list(said)
    side = WIDTH / count
    figure, grid = plt.subplots(1, count, figsize=(WIDTH, side + 0.27 * len(said) + 1.1))
    for place, (axes, question) in enumerate(zip(np.atleast_1d(grid), questions, strict=True)):
        pixels = questions.images[question.image]
        show_picture(axes, np.asarray(pixels.permute(1, 2, 0)))
        axes.set_anchor("N")  # what is said stands below, whatever room there is
        words = textwrap.fill(question.text, round(10 * side))
        axes.set_title(words, fontsize=10, fontweight="normal", pad=5)
        for line, row in enumerate(records(data.iloc[place * len(names) :][: len(names)])):
            mark = model_mark(row.model, names)
            axes.text(
                0,
                -0.06 - 0.26 / side * line,
                f"{'✓' if row.right else '✗'} {row.said or '(nothing)'}",
                transform=axes.transAxes,
                fontsize=10.5,
                va="top",
                color=mark.colour,
                fontweight="bold" if row.right else "normal",
            )
    handles = [Line2D([], [], color=model_mark(n, names).colour, lw=6) for n in names]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), handlelength=1)
    return figure


def mask_map_data(mask: Mapping[str, float]) -> pd.DataFrame:
    """Where the mask lets weights climb: columns module, layer, share (mean of its tensors)."""
    shares: dict[tuple[str, str], list[float]] = {}
    for name, share in mask.items():
        module = next(m for m, sign in _SIGNS.items() if sign in name)
        shares.setdefault((module, _layer(name)), []).append(share)
    lines = [(*place, sum(of) / len(of)) for place, of in shares.items()]
    return pd.DataFrame(lines, columns=["module", "layer", "share"])


_SIGNS = {"vision": "vision_tower", "projector": "multi_modal_projector", "language": ""}


def _layer(name: str) -> str:
    for sign in (r"visual\.(layer\d|attnpool)", r"transformer\.resblocks\.\d+"):
        if found := re.search(sign, name):
            return found.group(0).removeprefix("visual.")
    if found := re.search(r"(linear_\d)", name):
        return f"projector {found.group(1)}"
    if found := re.search(r"layers\.(\d+)\.(self_attn|mlp)", name):
        part = "attention" if found.group(2) == "self_attn" else "mlp"
        return f"block {int(found.group(1)) + 1} {part}"
    return "tower's stem" if "vision_tower" in name else "words and norms"


@styled
def mask_map(mask: Mapping[str, float]) -> Figure:
    """Share of each layer's weights that may climb: where the forgotten sits apart.

    Args:
        mask: of an erasure by mmunlearner, shares by parameter name.
    """
    data = mask_map_data(mask)
    figure, axes = plt.subplots(figsize=(WIDTH, 0.3 * len(data) + 1.3))
    for place, line in enumerate(records(data)):
        axes.barh(place, line.share, color=_MODULES[line.module], height=0.7)
        axes.text(line.share + 0.008, place, f"{100 * line.share:.0f} %", va="center", fontsize=10)
    axes.set_yticks(range(len(data)), data["layer"])
    axes.invert_yaxis()
    axes.set_xlim(0, min(1.08, max(data["share"].tolist()) * 1.12 + 0.02))
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
    axes.set_xlabel("weights that matter more to the forgotten pictures than to what stays")
    axes.grid(axis="y", visible=False)
    handles = [
        Rectangle((0, 0), 1, 1, color=c) for m, c in _MODULES.items() if m in set(data["module"])
    ]
    figure.legend(
        handles,
        [m for m in _MODULES if m in set(data["module"])],
        loc="outside upper center",
        ncols=3,
    )
    return figure
