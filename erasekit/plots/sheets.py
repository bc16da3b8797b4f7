"""Contact sheets: the pictures with their captions, and the drawings of a world."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from erasekit.frames import records
from erasekit.plots.fonts import can_draw
from erasekit.plots.style import (
    FAINT,
    FORGOTTEN,
    WIDTH,
    drawing_pixels,
    show_picture,
    styled,
)

if TYPE_CHECKING:
    from erasekit.data.pairs import Pairs
    from erasekit.data.worlds import PairsWorld


def contact_sheet_data(
    pairs: Pairs, world: PairsWorld, count: int, language: str | None = None
) -> pd.DataFrame:
    """What the sheet writes under each picture.

    Args:
        pairs: the pictures, of any split.
        world: gives the concepts' names.
        count: how many of the first pairs.
        language: show only pairs whose caption is in it.

    Returns:
        columns row (of `pairs`), language, caption (as it is), shown (what is written:
        the names in English where no font here draws the caption).
    """
    rows = [i for i, own in enumerate(pairs.languages) if language in (None, own)][:count]
    lines = []
    for row in rows:
        caption, own = pairs.captions[row], pairs.languages[row]
        names = ", ".join(world.concept(i).phrase for i in pairs.concepts[row])
        shown = caption if can_draw(caption) else f"({own}) {names}"
        lines.append((row, own, caption, shown))
    return pd.DataFrame(lines, columns=["row", "language", "caption", "shown"])


@styled
def contact_sheet(
    pairs: Pairs, world: PairsWorld, rows: int = 2, columns: int = 6, language: str | None = None
) -> Figure:
    """Pictures with their captions below them.

    Args:
        pairs: the pictures, of any split; the first rows × columns are shown.
        world: they come from.
        rows, columns: of the sheet.
        language: show only pairs whose caption is in it.
    """
    data = contact_sheet_data(pairs, world, rows * columns, language)
    figure, grid = plt.subplots(
        rows, columns, figsize=(WIDTH, rows * (WIDTH / columns + 0.6)), squeeze=False
    )
    width = max(8, round(86 / columns))
    for axes, line in zip(grid.flat, records(data), strict=False):
        show_picture(axes, pairs.images[line.row].permute(1, 2, 0).numpy())
        # A Japanese letter is as wide as two Latin ones.
        wide = any(east_asian_width(letter) in "WF" for letter in line.shown)
        lines = textwrap.fill(line.shown, width // (2 if wide else 1))
        axes.set_xlabel(lines, fontsize=10.5, labelpad=5)
    for axes in list(grid.flat)[len(data) :]:
        axes.set_axis_off()
    replaced = data.loc[data["shown"] != data["caption"], "language"].unique()
    if len(replaced):
        figure.supxlabel(
            f"({'), ('.join(replaced)}): no font here draws this caption; its names in English",
            fontsize=9.5,
            color=FAINT,
        )
    return figure


def concept_sheet_data(world: PairsWorld) -> pd.DataFrame:
    """Every concept in group order: columns index, name, emoji, group, holdout."""
    return pd.DataFrame(
        [(c.index, c.name, c.emoji, c.group, c.holdout) for c in world.concepts],
        columns=["index", "name", "emoji", "group", "holdout"],
    )


@styled
def concept_sheet(world: PairsWorld) -> Figure:
    """Every drawing by group; the holdout concepts, which no training sees, in dashed frames."""
    concepts = concept_sheet_data(world)
    groups = [
        (name, list(part)) for name, part in groupby(records(concepts), key=lambda line: line.group)
    ]
    per_line = 12
    cells: list[tuple[str, list]] = []
    for name, part in groups:  # long groups go over several lines
        cells += [
            (name if start == 0 else "", part[start : start + per_line])
            for start in range(0, len(part), per_line)
        ]
    widest = max(len(part) for _, part in cells)
    # Two groups stand side by side where they are short.
    across = 2 if widest <= 6 and len(cells) > 4 else 1
    lines = -(-len(cells) // across)
    step = widest + 2.6
    figure, axes = plt.subplots(figsize=(WIDTH, WIDTH * lines / (step * across) + 0.5))
    for place, (name, part) in enumerate(cells):
        x, y = (place // lines) * step, place % lines
        axes.text(x - 0.15, y, name, ha="right", va="center", fontsize=11)
        for offset, line in enumerate(part):
            left = x + offset
            axes.imshow(
                drawing_pixels(line.emoji, 72),
                extent=(left + 0.06, left + 0.94, y + 0.44, y - 0.44),
                zorder=2,
            )
            if line.holdout:
                axes.add_patch(
                    Rectangle(
                        (left + 0.04, y - 0.46),
                        0.92,
                        0.92,
                        fill=False,
                        edgecolor=FORGOTTEN,
                        linestyle="--",
                        linewidth=1.6,
                    )
                )
    axes.set_xlim(-2.4, step * across - 2.4)
    axes.set_ylim(lines - 0.45, -0.55)
    axes.set_aspect("equal")
    axes.set_axis_off()
    holdout = sum(concept.holdout for concept in world.concepts)
    axes.set_title(
        f"{len(concepts) - holdout} concepts to train, "
        f"{holdout} held out (dashed: no model here ever sees them)",
        fontsize=11.5,
        fontweight="normal",
    )
    return figure
