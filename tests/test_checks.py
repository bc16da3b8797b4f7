"""A file of a known version: read as it was written, or refused in one line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import with_config

from erasekit.checks import read_record
from erasekit.errors import RunError


@with_config(allow_inf_nan=False)
@dataclass(frozen=True)
class Line:
    name: str
    value: float


@dataclass(frozen=True)
class Lines:
    lines: list[Line]


def read(path: Path, text: str) -> Any:
    path.write_text(text, encoding="utf-8")
    return read_record(path, "a list", 1, Lines)


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.floats(allow_nan=False, allow_infinity=False))))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, lines: list) -> None:
    written = [{"name": name, "value": value} for name, value in lines]
    text = json.dumps({"version": 1, "lines": written})
    found = read(tmp_path_factory.mktemp("a") / "a.json", text)
    assert found == Lines([Line(name, value) for name, value in lines])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "is not a list: it has no version"),
        ('{"version": 2}', "has version 2: this reads 1"),
        ('{"version": ["' + "x" * 999 + '"]}', "has version"),
        ('{"version": 1}', "lines: Field required"),
        ('{"version": 1, "lines": {"a": 1}}', "lines: Input should be a valid array"),
        ('{"version": 1, "lines": [{"name": 1, "value": 1}]}', "0.name: .*string, not 1"),
        ('{"version": 1, "lines": [{"name": "a", "value": "1"}]}', "0.value: .*number, not '1'"),
        ('{"version": 1, "lines": [{"name": "a", "value": NaN}]}', "0.value: .*finite number"),
        ('{"version": 1, "lines": [{"name": "a", "value": 1e999}]}', "0.value: .*finite number"),
        ("[" * 100_000, "is damaged"),
    ],
)
def test_what_is_of_another_type_is_named_in_one_line(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=words) as caught:
        read(tmp_path / "a.json", text)
    assert str(caught.value).startswith(str(tmp_path / "a.json"))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
