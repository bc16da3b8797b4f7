"""Files are whole or absent."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from erasekit.errors import RunError
from erasekit.files import (
    read_json,
    sha256_file,
    sha256_folder,
    sha256_json,
    write_json,
    write_text,
    write_whole,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    value = {"name": "りんご", "n": [1, 2.5, None]}
    path = write_json(tmp_path / "new" / "folder" / "x.json", value)
    assert read_json(path) == value
    assert "りんご" in path.read_text(encoding="utf-8")


def full_disk(aside: Path) -> None:
    aside.write_text("half of it")
    raise OSError(errno.ENOSPC, "No space left on device")


def crash(aside: Path) -> None:
    aside.write_text("half of it")
    raise KeyboardInterrupt


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.txt", "old")
    with pytest.raises(RunError, match=r"cannot write .*x\.txt: No space left on device"):
        write_whole(path, full_disk)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_crash_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_text(tmp_path / "x.txt", "old")
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, crash)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_new_file_is_absent_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"

    def look(aside: Path) -> None:
        aside.write_text("half")
        assert not path.exists()
        aside.write_text("whole")

    assert write_whole(path, look).read_text() == "whole"


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        write_text(tmp_path / "file" / "x.txt", "text")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b""])
def test_damaged_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"x\.json is damaged"):
        read_json(path)
    with pytest.raises(RunError, match=r"y\.json does not exist"):
        read_json(tmp_path / "y.json")


def test_hashes_are_of_the_content(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "1")
    write_text(tmp_path / "b" / "c", "1")
    # sha256 of the one character "1", as any other tool gives it
    one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    assert sha256_file(tmp_path / "a") == one
    assert sha256_folder(tmp_path) == {"a": one, "b/c": one}
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1})
    assert sha256_json({"a": 1}) != sha256_json({"a": 2})
