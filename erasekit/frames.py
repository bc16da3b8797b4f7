"""Reading a table: the lines that fit, and each line as a record."""

from __future__ import annotations

from typing import Any

import pandas as pd


def where(frame: pd.DataFrame, **equal: object) -> pd.DataFrame:
    """The lines whose columns have these values."""
    keep = pd.Series(True, index=frame.index)
    for column, value in equal.items():
        keep &= frame[column] == value
    return frame.loc[keep]


def records(frame: pd.DataFrame) -> list[Any]:
    """Each line with its columns as attributes."""
    return list(frame.itertuples(index=False))
