"""The one look of all pictures: colours, markers, sizes, fonts.

Colours are Okabe and Ito's, which colour-blind readers tell apart, and no picture
relies on them alone: a model also has its marker and its hatch, a loss term its dash.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Bbox

from erasekit.plots.fonts import font_families

if TYPE_CHECKING:
    from erasekit.data.task import ErasureTask

#: Width of every picture in inches: a notebook cell, or a column of the report.
WIDTH = 8.5
#: Ink for text and lines, for what stands back, and for frames.
INK, FAINT, LINE = "#1F2933", "#6B7280", "#C5CBD3"
#: What must be forgotten is marked in this colour in every picture.
FORGOTTEN = "#E69F00"
#: What is right, and what a neighbour is marked in.
RIGHT, NEIGHBOUR = "#009E73", "#56B4E9"


@dataclass(frozen=True)
class Mark:
    """How one model, or one loss term, looks."""

    colour: str
    marker: str = "o"
    hatch: str = ""
    dash: str | tuple = "-"


#: The models of a scorecard look the same in every picture.
MODELS = {
    "original": Mark("#0072B2", "o", ""),
    "erased": Mark("#D55E00", "s", "///"),
    "control": Mark("#8A8F98", "D", "..."),
    "oracle": Mark("#009E73", "*", "xx"),
}
#: Of the methods too. What a scorecard calls `erased` is CLIPErase in most notebooks.
METHODS = {
    "cliperase": MODELS["erased"],
    "fine_tune": MODELS["control"],
    "never_seen": Mark("#CC79A7", "^", "\\\\\\"),
}
_COLOURS = ("#56B4E9", "#E69F00", "#332288", "#882255", "#44AA99", "#999933", "#000000")
_MARKERS, _HATCHES = "vPXphd<>", ("++", "oo", "--", "||", "OO", "**", "xx++")
_LOOKS = [Mark(_COLOURS[i % 7], _MARKERS[i % 8], _HATCHES[i % 7]) for i in range(56)]
_NAMES = """ssd npo munba multidelete scrub salun lip null_space slug delete random_label
gradient_difference gradient_ascent kl_minimization task_negation mmunlearner cliperase_infonce"""
METHODS |= dict(zip(_NAMES.split(), _LOOKS, strict=False))
TERMS = {
    "forgetting": Mark("#E69F00", "o", dash="-"),
    "retention": Mark("#0072B2", "s", dash=(0, (6, 2))),
    "consistency": Mark("#CC79A7", "^", dash=(0, (6, 2, 1.5, 2))),
    "loss": Mark("#1F2933", "D", dash=(0, (1.5, 1.5))),
}


def model_mark(name: str, names: Sequence[str] = ()) -> Mark:
    """The look of a model or method; other names take the free looks in turn.

    Args:
        name: of the model.
        names: of all models in the picture, so that no two look alike.
    """
    known = MODELS | METHODS
    if name in known:
        return known[name]
    taken = {known[n].marker for n in names if n in known}
    free = [look for look in (METHODS["never_seen"], *_LOOKS[:8]) if look.marker not in taken]
    others = [n for n in names if n not in known]
    return free[others.index(name) % len(free) if name in others else 0]


def term_mark(name: str, names: Sequence[str] = ()) -> Mark:
    """The look of a loss term."""
    if name in TERMS:
        return TERMS[name]
    others = [n for n in names if n not in TERMS]
    dashes = ("-", (0, (3, 1)), (0, (8, 2)))
    place = others.index(name) if name in others else 0
    return Mark(_COLOURS[place % len(_COLOURS)], dash=dashes[place % len(dashes)])


_P = ParamSpec("_P")


def styled(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Let a function draw in the kit's look and leave the reader's own settings alone."""

    @functools.wraps(draw)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> Figure:
        with plt.rc_context(_settings()):
            return draw(*args, **kwargs)

    return wrapper


def _settings() -> dict:
    return {
        **sns.axes_style("whitegrid"),
        "font.family": font_families(),
        "font.size": 12,
        "axes.titlesize": 13,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "axes.labelsize": 12,
        "axes.edgecolor": LINE,
        "axes.labelcolor": INK,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
        "legend.fontsize": 11,
        "legend.frameon": False,
        "grid.color": "#E7EAEE",
        "hatch.linewidth": 0.6,
        "lines.linewidth": 2,
        "figure.dpi": 100,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "figure.constrained_layout.use": True,
        "axes.unicode_minus": True,
    }


def drawing_pixels(character: str, size: int = 64) -> np.ndarray:
    """An emoji's drawing as RGBA for `imshow`, float 0 to 1, shape (size, size, 4)."""
    from erasekit.data.drawn.world import drawing

    rgba = drawing(character, size).permute(1, 2, 0).numpy()
    alpha = rgba[..., 3:]
    straight = np.divide(rgba[..., :3], alpha, out=np.zeros_like(rgba[..., :3]), where=alpha > 0)
    return np.clip(np.concatenate([straight, alpha], axis=2), 0, 1)


def concept_pixels(task: ErasureTask, index: int, size: int = 64) -> np.ndarray:
    """What stands for a concept in a picture: its drawing, or else its first test picture."""
    concept = task.world.concept(index)
    if concept.emoji:
        return drawing_pixels(concept.emoji, size)
    from PIL import Image

    singles = task.judged("test").singles
    picture = singles.images[int(np.argmax(singles.labels() == index))].permute(1, 2, 0).numpy()
    shrunk = Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(shrunk.convert("RGBA")) / 255


def show_picture(axes: Axes, pixels: np.ndarray) -> None:
    """A picture without ticks, in a thin frame."""
    axes.imshow(pixels, interpolation="bilinear")
    axes.set(xticks=[], yticks=[])
    frame(axes, LINE, 1)


def frame(axes: Axes, colour: str, width: float, dash: str = "-") -> None:
    for spine in axes.spines.values():
        spine.set(visible=True, edgecolor=colour, linewidth=width, linestyle=dash)


def legend_above(figure: Figure, handles: Sequence, labels: Sequence[str], columns: int) -> None:
    """One legend for the whole picture, above it, where it covers nothing."""
    figure.legend(
        handles, labels, loc="outside upper center", ncols=columns, handlelength=2.2, borderpad=0.2
    )


def draw_point(
    axes: Axes,
    x: float,
    y: float,
    mark: Mark,
    *,
    across: tuple[float, float] | None = None,
    up: tuple[float, float] | None = None,
    size: float = 8,
    star: float = 13,
    **more: Any,
) -> None:
    """One value as its mark, with the low and high end of its interval on either axis.

    Args:
        across, up: the interval of x, and of y; one with a missing end is not drawn.
        size, star: of a marker, and of the oracle's star, which looks smaller than it is.
        more: for matplotlib's `errorbar`.
    """
    axes.errorbar(
        x,
        y,
        xerr=_reach(x, across),
        yerr=_reach(y, up),
        fmt=mark.marker,
        color=mark.colour,
        markersize=star if mark.marker == "*" else size,
        markeredgecolor="white",
        **more,
    )


def _reach(value: float, interval: tuple[float, float] | None) -> list[list[float]] | None:
    """How far an interval goes to either side; rounding may put the value just outside it."""
    if interval is None or any(end is None or np.isnan(end) for end in interval):
        return None
    low, high = interval
    return [[max(0.0, value - low)], [max(0.0, high - value)]]


def label_points(
    axes: Axes,
    labels: Sequence[tuple[str, float, float]],
    colours: Sequence[str],
    bars: Sequence[tuple[float, float, float, float]] = (),
    **more: Any,
) -> None:
    """Write a text beside each point, clear of all points, bars and other texts.

    Args:
        labels: text, x and y of each; the axes' limits must be final.
        colours: of each text.
        bars: x and y of the start and the end of each line that no text may cross.
        more: for matplotlib's `annotate`.
    """
    axes.figure.canvas.draw()  # only a layout that is done says how far things lie apart
    point = axes.figure.dpi / 72
    filled = []
    for ends, pad in (*(((x, y, x, y), 9) for _, x, y in labels), *((bar, 2) for bar in bars)):
        corners = axes.transData.transform(np.reshape(ends, (2, 2)))
        filled.append(Bbox(corners).padded(pad * point))
    for (text, x, y), colour in zip(labels, colours, strict=True):
        written = axes.annotate(
            text, (x, y), xytext=(0, 0), textcoords="offset points", color=colour, **more
        )
        written.set(ha="center", va="center")
        box = written.get_window_extent()
        spots = []
        for reach, angle in product((10, 14, 21, 30, 44), np.arange(0, 2 * np.pi, np.pi / 8)):
            shift = np.array([box.width, box.height]) / 2 + reach * point
            shift = shift * (np.cos(angle), np.sin(angle))
            there = box.translated(*shift)
            outside = 9 * (not axes.bbox.padded(2).containsx(there.x1) or there.x0 < axes.bbox.x0)
            spots.append((there.count_overlaps(filled) + outside, reach, tuple(shift), there))
        _, reach, shift, there = min(spots, key=lambda spot: spot[:2])
        written.set_position((shift[0] / point, shift[1] / point))
        filled.append(there)


def mark_handle(mark: Mark, width: float = 1.3) -> Line2D:
    """How a mark looks in a legend; with `width` 0, without a line."""
    return Line2D(
        [],
        [],
        color=mark.colour,
        marker=mark.marker,
        markersize=13 if mark.marker == "*" else 8,
        markeredgecolor="white",
        linewidth=width,
    )


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """One row for each name, the first on top."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")


def share_axis(axes: Axes, which: Literal["x", "y"], edge: float = 0.03) -> None:
    """An axis from 0 to 100 %, with some room at both ends."""
    axes.set(**{f"{which}lim": (-edge, 1 + edge)})
    getattr(axes, f"{which}axis").set_major_formatter(PercentFormatter(1, decimals=0))
