"""Tables: what of them is written."""

from __future__ import annotations

import io

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from erasekit.frames import no_formulas


@given(st.lists(st.text("=+-@\t'ab1 ", max_size=4), min_size=1, max_size=5, unique=True))
def test_no_cell_is_a_formula_and_none_is_lost(texts: list[str]) -> None:
    index = pd.MultiIndex.from_arrays([range(len(texts)), texts], names=["by", "name"])
    frame = pd.DataFrame({"pairs": range(len(texts)), "example": texts}, index=index)
    written = no_formulas(frame).to_csv()
    read = pd.read_csv(io.StringIO(written), keep_default_na=False, dtype=str)
    assert list(read.columns) == ["by", "name", "pairs", "example"]
    for column in ("name", "example"):
        assert not any(cell[:1] in tuple("=+-@\t") and cell for cell in read[column])
        assert [cell.removeprefix("'") for cell in read[column]] == [
            text.removeprefix("'") for text in texts
        ]
