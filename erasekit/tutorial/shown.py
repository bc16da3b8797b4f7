"""How a notebook shows a table and a picture: as HTML that fits a page and a phone."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from erasekit.tutorial.wording import readable

_TABLE = '<div style="overflow-x:auto"><table style="margin-left:0">{rows}</table></div>'
_FIGURE = (
    '<figure id="{name}" style="margin:0"><img style="max-width:100%;height:auto" alt="{alt}" '
    'src="data:image/png;base64,{data}"/><figcaption>{caption}</figcaption></figure>'
)


def table_html(frame: pd.DataFrame, digits: int = 2, letters: int = 80) -> str:
    """A table: text on the left, numbers on the right with equal decimals, a dash for no value.

    An index becomes the first columns, unless it only counts the rows. Measures in headings and
    in the index are named in words.

    Args:
        digits: decimals of a column of numbers that are not whole.
        letters: of a text, at most; the rest is cut off.
    """
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.rename(index=lambda label: readable(label) if type(label) is str else label)
        frame = frame.reset_index(names=[name or "" for name in frame.index.names])
    sides, columns = [], []
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        sides.append("right" if numbers else "left")
        columns.append([_cell(v, column, digits, letters) for v in column])
    rows = [_row("th", map(_name, frame), sides)]
    rows += [_row("td", cells, sides) for cells in zip(*columns, strict=True)]
    return _TABLE.format(rows="".join(rows))


def figure_html(figure: Figure, name: str, caption: str, alt: str) -> str:
    """A picture with a caption that says what to see, and its alternative text.

    Args:
        name: the element's id, by which the picture is found in an executed notebook.
    """
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100, bbox_inches="tight")
    return _FIGURE.format(
        name=name,
        alt=html.escape(alt),
        data=base64.b64encode(data.getvalue()).decode(),
        caption=html.escape(caption),
    )


def _cell(value: Any, column: pd.Series, digits: int, letters: int) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "–"
    if pd.api.types.is_float_dtype(column):
        text = f"{value:.{digits}f}"
        # A value that rounds to nothing has no sign.
        return text.replace("-", "−") if float(text) else f"{0:.{digits}f}"
    text = str(value)
    return html.escape(text if len(text) <= letters else text[: letters - 1] + "…")


def _name(name: Any) -> str:
    text = ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)
    return html.escape(readable(text))


def _row(tag: str, texts: Iterable[str], sides: list[str]) -> str:
    cells = (
        f'<{tag} style="text-align:{side};padding:0.2em 0.6em">{text}</{tag}>'
        for text, side in zip(texts, sides, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"
