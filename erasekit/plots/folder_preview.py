"""What a rule selects in your own data, before anything is run: pictures and counts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from erasekit.frames import records, where
from erasekit.plots.fonts import can_draw
from erasekit.plots.style import FORGOTTEN, WIDTH, frame, show_picture, styled

if TYPE_CHECKING:
    from erasekit.data.folder.listing import Coded, FolderPairs

_TITLES = {"forget": "to be forgotten", "retain": "to be kept"}
# Pictures side by side, their size, and the lines and letters that fit below one.
_COLUMNS, _PIXELS = 3, 160
_LINES, _LETTERS = 2, 18


def contact_sheet_data(pairs: FolderPairs, mask: np.ndarray, most: int = 24) -> pd.DataFrame:
    """Which pictures the sheet shows, and what it writes under each.

    On each side they are as far apart in the list as can be, so that not all of them are of
    its first concept.

    Args:
        pairs: all pairs.
        mask: bool, shape (n,): those to forget, see `erasekit.data.folder.selection.select`.
        most: pictures of both sides together.

    Returns:
        columns side (forget or retain), row (of `pairs`), caption (as it is), shown (cut to
        fit; the concept where no font here draws the caption).
    """
    lines = []
    for side, rows in _sides(mask).items():
        # One row a picture: the first that tells of it.
        rows = rows[np.sort(np.unique(pairs.picture[rows], return_index=True)[1])]
        apart = np.linspace(0, len(rows) - 1, min(len(rows), max(1, most // 2)))
        for row in rows[apart.round().astype(int)].tolist():
            caption = pairs.caption(row)
            lines.append((side, row, caption, _told(caption, pairs.concept[row])))
    return pd.DataFrame(lines, columns=["side", "row", "caption", "shown"])


@styled
def contact_sheet(pairs: FolderPairs, mask: np.ndarray, most: int = 24) -> Figure:
    """Pictures to be forgotten beside pictures to be kept, with their captions.

    Args:
        pairs: all pairs.
        mask: bool, shape (n,): those to forget.
        most: pictures of both sides together.

    Raises:
        RunError: when a picture cannot be read.
    """
    data = contact_sheet_data(pairs, mask, most)
    lines = -(-int(data["side"].value_counts().max()) // _COLUMNS)
    figure, grid = plt.subplots(
        lines,
        2 * _COLUMNS + 1,  # the one between the sides stays empty
        figsize=(WIDTH, 0.45 + lines * (WIDTH / (2 * _COLUMNS) + 0.4)),
        width_ratios=[*[1] * _COLUMNS, 0.2, *[1] * _COLUMNS],
        squeeze=False,
    )
    for axes in grid.flat:
        axes.set_axis_off()
    parts = (grid[:, :_COLUMNS], grid[:, -_COLUMNS:])
    for part, (side, rows) in zip(parts, _sides(mask).items(), strict=True):
        number = len(np.unique(pairs.picture[rows]))
        told = f"{_TITLES[side]}: {number:,} picture{'s' * (number != 1)}"
        # A column's own title would make it as wide; one without words keeps the room above.
        part[0, 1].set_title(" ")
        part[0, 0].annotate(
            told,
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 10),
            textcoords="offset points",
            fontsize=13,
            fontweight="bold",
            in_layout=False,
        )
        own = where(data, side=side)
        pixels = pairs.pixels(own["row"].to_numpy(), _PIXELS).permute(0, 2, 3, 1).numpy()
        for axes, picture, line in zip(part.flat, pixels, records(own), strict=False):
            axes.set_axis_on()
            show_picture(axes, picture)
            if side == "forget":
                frame(axes, FORGOTTEN, 3)
            # A caption may have dollars in it, which are no mathematics.
            axes.set_xlabel(line.shown, fontsize=9, labelpad=5, parse_math=False)
    return figure


def preview_table(pairs: FolderPairs, mask: np.ndarray) -> pd.DataFrame:
    """How many pairs and pictures go and stay: in all, by split, and by concept.

    Args:
        pairs: all pairs.
        mask: bool, shape (n,): those to forget.

    Returns:
        index by (all, split or concept) and name; columns forget_pairs, forget_pictures,
        retain_pairs, retain_pictures, examples (up to two captions, of those to forget if there
        are any). Concepts are in order of what goes.
    """
    mask = np.asarray(mask, dtype=bool)
    lines = [_counts(pairs, mask, "all", np.arange(len(pairs)), "all")]
    lines += [_counts(pairs, mask, *each, "split") for each in _members(pairs.split)]
    concepts = [_counts(pairs, mask, *each, "concept") for each in _members(pairs.concept)]
    concepts.sort(key=lambda line: (-line["forget_pairs"], -line["retain_pairs"]))
    return pd.DataFrame(lines + concepts).set_index(["by", "name"])


def _sides(mask: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of both sides."""
    mask = np.asarray(mask, dtype=bool)
    return {"forget": np.flatnonzero(mask), "retain": np.flatnonzero(~mask)}


def _told(caption: str, concept: str | None) -> str:
    """A caption in the lines that fit below a picture."""
    told = " ".join(caption.split())
    if not can_draw(told):
        told = f"({concept})" if concept and can_draw(concept) else "(no font draws it)"
    # A word that is longer than a line is cut anywhere: some languages have no spaces.
    lines = textwrap.wrap(told, _LETTERS)
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], f"{lines[_LINES - 1][: _LETTERS - 1].rstrip()}…"]
    return "\n".join(lines)


def _members(column: Coded) -> Iterator[tuple[str, np.ndarray]]:
    """Each name that a row has, and its rows."""
    order = np.argsort(column.codes, kind="stable")
    codes, starts = np.unique(column.codes[order], return_index=True)
    for code, rows in zip(codes, np.split(order, starts[1:]), strict=True):
        if code >= 0:
            yield column.names[code], rows


def _counts(
    pairs: FolderPairs, mask: np.ndarray, name: str, rows: np.ndarray, by: str
) -> dict[str, Any]:
    """One line of the table."""
    gone, kept = rows[mask[rows]], rows[~mask[rows]]
    captions = pairs.captions((gone if len(gone) else kept)[:20])
    examples = dict.fromkeys(textwrap.shorten(each, 60, placeholder="…") for each in captions)
    return {
        "by": by,
        "name": name,
        "forget_pairs": len(gone),
        "forget_pictures": len(np.unique(pairs.picture[gone])),
        "retain_pairs": len(kept),
        "retain_pictures": len(np.unique(pairs.picture[kept])),
        "examples": " / ".join(list(examples)[:2]),
    }
