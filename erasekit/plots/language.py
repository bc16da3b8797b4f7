"""Multimodal language models as pictures: what they still see and know, say, and may unlearn by."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import asdict

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from erasekit.data.question_list import Questions
from erasekit.evaluate.scorecard import Scorecard
from erasekit.frames import records
from erasekit.models.mllm import Mllm
from erasekit.plots.style import (
    FORGOTTEN,
    INK,
    MODELS,
    WIDTH,
    model_mark,
    show_picture,
    styled,
)

_MODULES = {"vision": MODELS["original"].colour, "projector": FORGOTTEN, "language": "#CC79A7"}


#: Label of each box in `parts_diagram`.
_BOXES = {
    "vision": "image tower\nof a CLIP",
    "projector": "projector",
    "language": "language\nmodel",
}


@styled
def parts_diagram(changed: Mapping[str, str]) -> Figure:
    """The parts of a LLaVA from picture to answer, and what happens to each.

    Args:
        changed: by module (vision, projector, language) a few words; one that is left out is
            drawn pale, as it stays as it is.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 1.9))
    axes.set(xlim=(-0.75, 3.75), ylim=(-0.35, 1.05))
    axes.axis("off")
    arrow = {"arrowstyle": "->", "color": INK, "lw": 1.5}
    for place, (module, label) in enumerate(_BOXES.items()):
        fill = _MODULES[module] if module in changed else "white"
        box = Rectangle((place + 0.12, 0), 0.76, 0.7, fc=fill, ec=INK, alpha=0.45, lw=1.5)
        axes.add_patch(box)
        axes.text(place + 0.5, 0.35, label, ha="center", va="center", fontweight="bold")
        axes.text(place + 0.5, -0.12, changed.get(module, "unchanged"), ha="center", va="top")
        axes.annotate("", (place + 0.12, 0.35), (place - 0.12, 0.35), arrowprops=arrow)
    axes.text(-0.14, 0.35, "picture", ha="right", va="center")
    axes.annotate("", (3.12, 0.35), (2.88, 0.35), arrowprops=arrow)
    axes.text(3.14, 0.35, "answer", ha="left", va="center")
    axes.text(2.5, 0.98, "question", ha="center", va="center")
    axes.annotate("", (2.5, 0.7), (2.5, 0.92), arrowprops=arrow)
    return figure


def seen_and_known_data(scores: Scorecard, kind: str = "name") -> pd.DataFrame:
    """Right answers, from 0 to 1: a row a model, a column a direction and subset.

    Args:
        kind: of the questions about pictures; those in words alone are all there.
    """
    wanted = {("seen", f"accuracy:{kind}"), ("told", "accuracy")}
    rows = [asdict(row) for row in scores.rows if (row.direction, row.metric) in wanted]
    places = ["direction", "subset"]
    return pd.DataFrame(rows).pivot_table(index="model", columns=places, values="value", sort=False)


@styled
def seen_and_known(scores: Scorecard, kind: str = "name") -> Figure:
    """What each model still recognises in pictures, and still knows in words.

    A row a model; what must go is the first column alone.

    Args:
        kind: of the questions about pictures.
    """
    data = seen_and_known_data(scores, kind)
    directions = list(dict.fromkeys(direction for direction, _ in data.columns))
    figure, grid = plt.subplots(
        1, len(directions), figsize=(WIDTH, 0.42 * len(data) + 1.5), squeeze=False, sharey=True
    )
    words = {"seen": "recognised in pictures", "told": "answered in words"}
    for axes, direction in zip(grid.flat, directions, strict=True):
        part = data[direction] * 100
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
        axes.set(title=f"{words[direction]}, %", xlabel="", ylabel="")
        axes.tick_params(length=0)
        axes.tick_params(axis="y", rotation=0)
        for label in axes.get_xticklabels():
            if label.get_text() == "forget" and direction == "seen":
                label.set(color="#B37400", fontweight="bold")
    return figure


def answers_gallery_data(questions: Questions, models: Mapping[str, Mllm]) -> pd.DataFrame:
    """What is written under each picture: columns image, question, answer, model, said, right."""
    said = {name: model.answer(questions) for name, model in models.items()}
    lines = [
        (q.image, q.text, q.answer, model, texts[i], texts[i] == q.answer)
        for i, q in enumerate(questions)
        for model, texts in said.items()
    ]
    return pd.DataFrame(lines, columns=["image", "question", "answer", "model", "said", "right"])


@styled
def answers_gallery(questions: Questions, models: Mapping[str, Mllm]) -> Figure:
    """Pictures, what was asked about them, and what each model says; right answers are ticked.

    Args:
        questions: visual ones, one a picture, such as `MllmTask.examples`.
    """
    data = answers_gallery_data(questions, models)
    count, names = len(questions), list(models)
    side = WIDTH / count
    figure, grid = plt.subplots(1, count, figsize=(WIDTH, side + 0.27 * len(names) + 1.1))
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
    """How the picture names the layer that a parameter belongs to."""
    if found := re.search(r"layers\.(\d+)\.(self_attn|mlp)", name):
        part = "attention" if found.group(2) == "self_attn" else "feed-forward"
        return f"block {int(found.group(1)) + 1}, {part}"
    if found := re.search(r"transformer\.resblocks\.(\d+)", name):
        return f"tower, block {int(found.group(1)) + 1}"
    if found := re.search(r"visual\.layer(\d)", name):
        return f"tower, stage {found.group(1)}"
    if found := re.search(r"linear_(\d)", name):
        return f"projector, layer {found.group(1)}"
    if "attnpool" in name:
        return "tower, pooling"
    return "tower, first layers" if "vision_tower" in name else "word embeddings, norms"


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
        [_BOXES[m].replace("\n", " ") for m in _MODULES if m in set(data["module"])],
        loc="outside upper center",
        ncols=3,
    )
    return figure
