"""Reading a table: the lines that fit, and each line as a record."""

from __future__ import annotations

from typing import Any

import pandas as pd

from erasekit.text import no_formula


def where(frame: pd.DataFrame, **equal: object) -> pd.DataFrame:
    """The lines whose columns have these values."""
    keep = pd.Series(True, index=frame.index)
    for column, value in equal.items():
        keep &= frame[column] == value
    return frame.loc[keep]


def no_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts no spreadsheet takes for formulas, those of its index too."""
    index = list(frame.index.names)
    cells = frame.reset_index().map(lambda v: no_formula(v) if isinstance(v, str) else v)
    return cells.set_index(list(cells.columns[: len(index)])).rename_axis(index=index)


def records(frame: pd.DataFrame) -> list[Any]:
    """Each line with its columns as attributes."""
    return list(frame.itertuples(index=False))
