"""Helpers for data frames: row selection, records, and text that is safe in spreadsheets."""

from __future__ import annotations

from typing import Any

import pandas as pd

from erasekit.text import no_formula


def where(frame: pd.DataFrame, **equal: object) -> pd.DataFrame:
    """The rows whose columns have these values."""
    keep = pd.Series(True, index=frame.index)
    for column, value in equal.items():
        keep &= frame[column] == value
    return frame.loc[keep]


def no_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy in which spreadsheets interpret no text, including the index, as a formula."""
    index = list(frame.index.names)
    cells = frame.reset_index().map(lambda v: no_formula(v) if isinstance(v, str) else v)
    return cells.set_index(list(cells.columns[: len(index)])).rename_axis(index=index)


def records(frame: pd.DataFrame) -> list[Any]:
    """The rows as records, with columns as attributes."""
    return list(frame.itertuples(index=False))
