"""No class's name stands for a caption where another file may hold it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support_folder import put, write_pictures

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.data.folder.columns import Columns
from erasekit.errors import UsageError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize(
    ("name", "held", "said"),
    [
        ("captions.xlsx", b"PK", "save the sheet as CSV"),
        ("captions.zip", b"PK", "unpack it"),
        ("0.tar.gz", b"", "unpack it"),
        ("data-00000-of-00001.arrow", b"", "save it as Parquet"),
        ("labels.csv", b"id,label\n1,x\n", "has no column 'image'; it has id, label"),
        ("apple/1.xml", b"<a/>", "write pairs.csv"),
        ("results.tok", b"1.png#0\tan apple\n", r"it names pictures \(1.png\)"),
        ("captions/v/1.txt", b"an apple", "it has the name of a picture: put it beside"),
        ("lists/all.txt", b"apple/1.png an apple\n", r"it names pictures \(apple/1.png\)"),
    ],
)
def test_a_file_that_may_hold_captions_is_named(
    tmp_path: Path, name: str, held: bytes, said: str
) -> None:
    write_pictures(tmp_path, "apple/1.png", "pear/2.png")
    put(tmp_path / name, held)
    with pytest.raises(UsageError, match=f"{name} may hold captions, and is not read: .*{said}"):
        check_folder(tmp_path)


def test_what_describes_a_folder_or_lies_elsewhere_is_no_caption(tmp_path: Path) -> None:
    write_pictures(tmp_path, "in/apple/1.png", "in/pear/2.png")
    put(tmp_path / "in" / "README.md", b"![apple](apple/1.png)")
    put(tmp_path / "in" / "classes.txt", b"apple\npear\n")
    outside = put(tmp_path / "all.txt", b"1.png")
    (tmp_path / "in" / "all.txt").symlink_to(outside)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "in" / "pipe.txt")
    assert len(read_folder(tmp_path / "in")) == 2


@pytest.mark.parametrize("names", [("images", "masks"), ("train", "test"), ("x_Dataset", "y")])
def test_folders_that_name_no_class_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    write_pictures(tmp_path, f"{names[0]}/1.png", f"{names[1]}/2.png")
    with pytest.raises(UsageError, match=r"is not the name of a class, .* write pairs.csv"):
        check_folder(tmp_path)


def test_pictures_without_captions_are_counted(tmp_path: Path) -> None:
    write_pictures(tmp_path, "images/1.png", "images/2.png")
    with pytest.raises(UsageError, match=r"images has 2 pictures, and no captions: none of pairs"):
        check_folder(tmp_path)


def test_an_option_for_a_table_is_not_passed_over(tmp_path: Path) -> None:
    write_pictures(tmp_path, "apple/1.png", "pear/2.png")
    with pytest.raises(UsageError, match="has no table: leave --caption-column out"):
        check_folder(tmp_path, columns=Columns(caption="text"))
