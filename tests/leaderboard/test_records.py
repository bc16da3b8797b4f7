"""Results survive crashes and crowds, and are found again by what made them."""

from __future__ import annotations

import json
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from erasekit.errors import RunError
from erasekit.leaderboard import records as module
from erasekit.leaderboard.records import Records, key_of

WHAT = {"method": "cliperase", "task": "one_group", "seed": 0, "trial": {}}


def test_what_was_appended_is_read(tmp_path: Path):
    records = Records(tmp_path / "there" / "r.jsonl")
    assert records.read() == []
    records.append({"key": "a", "value": 1 / 3, "metrics": {"x": None}})
    records.append({"key": "b", "name": "ä"})
    assert records.read() == [
        {"key": "a", "value": 0.333333, "metrics": {"x": None}},
        {"key": "b", "name": "ä"},
    ]


def test_half_a_line_is_passed_over_and_written_over(tmp_path: Path):
    records = Records(tmp_path / "r.jsonl")
    records.append({"key": "a"})
    with records.path.open("a", encoding="utf-8") as file:
        file.write('{"key": "b", "val')  # the machine went down
    assert [r["key"] for r in records.read()] == ["a"]
    records.append({"key": "c"})
    assert [r["key"] for r in records.read()] == ["a", "c"]
    records.path.write_text('{"key": "b", "val')
    records.append({"key": "d"})
    assert [r["key"] for r in records.read()] == ["d"]


@pytest.mark.parametrize("line", ["{", "[]", '{"value": 1}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str):
    records = Records(tmp_path / "r.jsonl")
    records.append({"key": "a"})
    records.path.write_text(records.path.read_text() + line + '\n{"key": "b"}\n')
    with pytest.raises(RunError, match=r"line 2 is not a record: remove the line"):
        records.read()


def test_a_value_that_json_cannot_hold_leaves_the_file_as_it_was(tmp_path: Path):
    records = Records(tmp_path / "r.jsonl")
    records.append({"key": "a"})
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.append({"key": "b", "value": float("nan")})
    assert [r["key"] for r in records.read()] == ["a"]


def test_many_at_once_lose_nothing(tmp_path: Path):
    path = tmp_path / "r.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: Records(path).append({"key": str(i)}), range(60)))
    assert {r["key"] for r in Records(path).read()} == {str(i) for i in range(60)}
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_key_is_of_all_that_was_asked_and_of_the_code(monkeypatch: pytest.MonkeyPatch):
    code = "erasekit.leaderboard.trial"
    own = key_of(WHAT, code)
    assert own == key_of(dict(reversed(WHAT.items())), code)
    assert len({own, key_of({**WHAT, "seed": 1}, code), key_of(WHAT, code, "erasekit.loop")}) == 3
    monkeypatch.setattr(module, "code_identity", lambda *entries: {"code": f"changed: {entries}"})
    assert key_of(WHAT, code) != own


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path):
    records = Records(tmp_path / "r.jsonl")
    records.append({"key": "a", "value": "x" * 100})
    whole = records.path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 50, before[1]))
    try:
        for letters in (200, 100_000):
            with pytest.raises(RunError, match=r"cannot write \S+r.jsonl: .*goes on"):
                records.append({"key": "b", "value": "y" * letters})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert records.path.read_bytes() == whole
    records.append({"key": "c"})
    assert [r["key"] for r in records.read()] == ["a", "c"]
