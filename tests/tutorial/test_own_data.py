"""What the notebook on one's own data shows of a request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from erasekit.files import write_json
from erasekit.runs.manifest import REQUEST
from erasekit.tutorial.own_data import request_table

TOLD: dict[str, Any] = {
    "asked": {"kind": "files", "text": "files=list.txt", "entries": ["a.png", "b.png", "c.png"]},
    "found": ["a.png", "b.png"],
    "completed": {"b.png": "in/b.png"},
    "not_found": ["c.png"],
    "also_removed": [],
    "erased": ["a.png", "in/b.png"],
}


@pytest.mark.parametrize(("left_out", "completed"), [("", 1), ("completed", 0)])
def test_the_table_of_a_request_counts_every_list(
    tmp_path: Path, left_out: str, completed: int
) -> None:
    """Also of a run that an earlier version made, which completed nothing."""
    write_json(tmp_path / REQUEST, {k: v for k, v in TOLD.items() if k != left_out})
    assert request_table(tmp_path)["entries"].to_dict() == {
        "asked": 3,
        "found": 2,
        "completed": completed,
        "not found": 1,
        "also removed": 0,
        "erased": 2,
    }
