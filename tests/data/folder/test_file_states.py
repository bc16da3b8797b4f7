"""Files that are not there, or lie outside the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support_folder import (
    encoded,
    only_problem,
    problems,
    put,
    simple,
    write_shard,
)

from erasekit.data.folder.check import read_folder

pytestmark = pytest.mark.usefixtures("own_cache")


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = put(tmp_path / "out" / "a.png", encoded())
    folder = tmp_path / "in"
    rows = ["file.png,a", "folder/a.png,a", "within.png,a", "loop.png,a", "deep/a.png,a"]
    simple(folder, *rows)
    (folder / "file.png").symlink_to(outside)
    (folder / "folder").symlink_to(outside.parent)
    (folder / "within.png").symlink_to(folder / "a.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "deep").symlink_to("../out")
    assert [each[:2] for each in problems(folder)] == [
        ("pairs.csv, line 2", "path outside the folder"),
        ("pairs.csv, line 3", "path outside the folder"),
        ("pairs.csv, line 5", "missing file"),
        ("pairs.csv, line 6", "path outside the folder"),
    ]
    pairs = read_folder(folder, skip_bad=True)
    assert [pairs.path(i) for i in range(len(pairs))] == ["within.png"]
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    assert len(read_folder(linked, skip_bad=True)) == 1  # the folder itself may be a link


def test_links_out_of_class_folders_and_shards_are_not_followed(tmp_path: Path) -> None:
    outside = put(tmp_path / "out" / "a.png", encoded())
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "apple").symlink_to(outside.parent)
    assert only_problem(tmp_path / "c")[:2] == ("file apple/a.png", "path outside the folder")
    shard = write_shard(tmp_path / "out" / "0.tar", [("1.png", encoded()), ("1.txt", b"a")])
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "0.tar").symlink_to(shard)
    assert only_problem(tmp_path / "s")[:2] == ("shard 0.tar", "path outside the folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.png")
    assert only_problem(simple(tmp_path, "c.png,a"))[2] == "c.png is not a file"
