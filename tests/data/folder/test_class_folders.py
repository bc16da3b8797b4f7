"""A folder for each class."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_folder import (
    encoded,
    put,
    told,
    write_pictures,
)

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.data.worlds import SPLITS
from erasekit.errors import UsageError

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_folder_for_each_class_is_read(tmp_path: Path) -> None:
    write_pictures(tmp_path, "red_apple/1.png", "red_apple/in/2.JPG", "pear/1.webp", ".git/3.png")
    put(tmp_path / "pear" / "notes.txt", b"")
    pairs = read_folder(tmp_path)
    assert [each[:4] for each in told(pairs)] == [
        ("pear/1.webp", "pear", "pear", None),
        ("red_apple/1.png", "red apple", "red apple", None),
        ("red_apple/in/2.JPG", "red apple", "red apple", None),
    ]
    assert pairs.row(0) == "file pear/1.webp"
    assert "passed over: 1 files" in str(check_folder(tmp_path))


def test_class_folders_may_tell_the_split(tmp_path: Path) -> None:
    write_pictures(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png")
    assert [(each[0], each[2], each[4]) for each in told(read_folder(tmp_path))] == [
        ("test/a/1.png", "a", "test"),
        ("train/a/1.png", "a", "train"),
        ("train/b/1.png", "b", "train"),
    ]
    (tmp_path / "tets").mkdir()
    with pytest.raises(UsageError, match=r"unknown split folder .*'tets': did you mean 'test'"):
        read_folder(tmp_path)


@pytest.mark.parametrize("names", [("Train", "VAL", "Test"), ("training", "valid", "eval")])
def test_splits_are_known_in_any_case_and_by_usual_names(
    tmp_path: Path, names: tuple[str, str, str]
) -> None:
    for number, name in enumerate(names):
        put(tmp_path / name / "apple" / "1.png", encoded(number))
    found = {each[0].split("/")[0]: each[4] for each in told(read_folder(tmp_path))}
    assert found == dict(zip(names, SPLITS, strict=True))


def test_where_all_is_called_train_a_part_is_set_apart(tmp_path: Path) -> None:
    for number in range(40):
        put(tmp_path / "train" / "apple" / f"{number}.png", encoded(number))
    assert set(read_folder(tmp_path).split.codes) == {0, 1, 2}
    assert "all of it is called train" in check_folder(tmp_path).form


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_pictures(tmp_path, "train/1.png", "ship/1.png")
    assert read_folder(tmp_path).concept.names == ("ship", "train")
