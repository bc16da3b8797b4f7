"""Which split a row belongs to."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_folder import (
    encoded,
    problems,
    put,
    told,
    write_pictures,
    write_table,
)

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.row_splits import hashed_split
from erasekit.data.worlds import SPLITS

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_picture_told_in_two_splits_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png")
    put(tmp_path / "copy.png", encoded(0))
    told_splits = [("a.png", "train"), ("b.png", "test"), ("copy.png", "test"), ("b.png", "train")]
    rows = [{"image": name, "caption": "a", "split": split} for name, split in told_splits]
    write_table(tmp_path, "csv", rows)
    kind = "same picture in two splits"
    assert problems(tmp_path) == [
        ("pairs.csv, line 4", kind, "copy.png is told to be in test and, before, in train"),
        ("pairs.csv, line 5", kind, "b.png is told to be in train and, before, in test"),
    ]
    pairs = read_folder(tmp_path, skip_bad=True)
    # None is left out: a request for one of them forgets all of them.
    kept = [("a.png", "train"), ("b.png", "test"), ("copy.png", "train"), ("b.png", "test")]
    assert [each[0::4] for each in told(pairs)] == kept
    # Contents are not compared when pictures are not read.
    assert [each[0] for each in problems(tmp_path, checks="table")] == ["pairs.csv, line 5"]


def test_copies_go_where_one_of_them_is_told_to_be(tmp_path: Path) -> None:
    names = [f"{n}.png" for n in range(20)]
    for name in names:
        put(tmp_path / name, encoded())
    rows = [{"image": name, "caption": "a", "split": ""} for name in names]
    write_table(tmp_path, "csv", rows)
    pairs = read_folder(tmp_path)
    assert len(set(pairs.split.codes)) == len(set(pairs.picture)) == 1
    assert SPLITS[hashed_split("0.png")] == pairs.split[0]
    assert len(set(read_folder(tmp_path, checks="table").split.codes)) > 1
    rows[7]["split"] = "test"
    write_table(tmp_path, "csv", rows)
    assert set(read_folder(tmp_path).split.codes) == {SPLITS.index("test")}


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_a_path_belongs_to_one_split_for_ever(path: str) -> None:
    tenth = int(hashlib.sha256(path.encode()).hexdigest()[:16], 16) % 10
    assert hashed_split(path) == (0 if tenth < 8 else tenth - 7)


def test_the_shares_of_the_splits_are_near_what_is_said() -> None:
    found = Counter(hashed_split(f"img/{n:06}.jpg") for n in range(20_000))
    for split, share in enumerate((0.8, 0.1, 0.1)):
        assert found[split] / 20_000 == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("number", [20, 40, 99])
def test_each_split_of_a_small_folder_has_its_share(tmp_path: Path, number: int) -> None:
    names = [f"{n}.png" for n in range(number)]
    write_pictures(tmp_path, *names)
    write_table(tmp_path, "csv", [{"image": name, "caption": "a"} for name in names])
    found = Counter(read_folder(tmp_path).split[row] for row in range(number))
    assert found["test"] in (number // 10, number // 10 + 1)
    assert found["validation"] in (number // 10, number // 10 + 1)
