"""Tables in Arrow files, over many batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support_folder import (
    simple,
    told,
)

from erasekit.data import arrow_files
from erasekit.data.folder.check import read_folder

pytestmark = pytest.mark.usefixtures("own_cache")


def test_rows_are_found_over_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_files, "BATCH", 4)
    names = [f"{n}.png" for n in range(11)]
    simple(tmp_path, *(f"{name},caption {name}" for name in names), names=tuple(names))
    pairs = read_folder(tmp_path)
    assert [(each[0], each[1]) for each in told(pairs)] == [(n, f"caption {n}") for n in names]
    assert np.flatnonzero(pairs.matches(r"\b9")).tolist() == [9]
