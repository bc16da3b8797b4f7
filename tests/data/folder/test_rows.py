"""Rows that make no sense, each named with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_folder import (
    only_problem,
    simple,
    write_pictures,
    write_table,
)

from erasekit.data.folder.check import read_folder

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize(
    ("row", "kind", "said"),
    [
        ("c.png,a", "missing file", "c.png is not there"),
        (r"x\a.png,a", "missing file", r"x\a.png is not there"),
        ("x,a", "missing file", "x is not a file"),
        (",a", "missing file", "no picture is named"),
        ("a.png,", "empty caption", "there is no caption"),
        ("a.png, \t ", "empty caption", "there is no caption"),
        ("a.png,\u200b\ufeff", "empty caption", "there is no caption"),
        ("a.png,a\ufffd", "wrong encoding", "'caption' is not UTF-8"),
        ("a.png,a\0b", "wrong encoding", "'caption' is not UTF-8"),
        ("a\0.png,a", "wrong encoding", "'image' is not UTF-8"),
        ("../a.png,a", "path outside the folder", "../a.png leaves the folder"),
        ("x/../../a.png,a", "path outside the folder", "../a.png leaves the folder"),
        ("/etc/a.png,a", "path outside the folder", "is absolute"),
        (r"C:\a.png,a", "path outside the folder", "is absolute"),
        ("a.png,red, ripe", "unreadable row", "3 cells under 2 columns"),
        ("a.png", "unreadable row", "1 cells under 2 columns"),
        ('a.png,"red', "unreadable row", "this is not CSV"),
        (f"a.png,{'x' * 110_000}", "unreadable row", "has 110,000 characters"),
        (f"a.png,{'x' * 140_000}", "unreadable row", "this is not CSV: field larger"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, kind: str, said: str) -> None:
    (tmp_path / "x").mkdir()
    simple(tmp_path, "a.png,a", row)
    place, found, words = only_problem(tmp_path)
    assert (place, found) == ("pairs.csv, line 3", kind) and said in words
    assert read_folder(tmp_path, skip_bad=True).captions(range(1)) == ["a"]


def test_rows_after_a_bad_one_are_read(tmp_path: Path) -> None:
    simple(tmp_path, "a.png,a", "b.png", "b.png,b")
    assert read_folder(tmp_path, skip_bad=True).captions(range(2)) == ["a", "b"]


def test_an_unknown_split_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png")
    write_table(tmp_path, "csv", [{"image": "a.png", "caption": "a", "split": "tst"}])
    want = ("pairs.csv, line 2", "unknown split", "unknown split 'tst': did you mean 'test'?")
    assert only_problem(tmp_path) == want
