"""Shards of a webdataset, good and bad."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support_folder import (
    encoded,
    problems,
    put,
    told,
    write_shard,
)

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.data.folder.columns import Columns

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize("where", ["", "shards/"])
def test_shards_are_read_and_any_picture_by_one_seek(tmp_path: Path, where: str) -> None:
    about = {"concept": "apple", "group": "fruit", "split": "test", "url": 3}
    colours = [encoded(colour, "JPEG", (8, 8)) for colour in range(3)]
    first = [("in/1.jpg", colours[0]), ("in/1.txt", "an äpple\n".encode())]
    first += [("in/1.json", json.dumps(about).encode()), ("__index__.json", b"{}")]
    write_shard(
        tmp_path / where / "0.tar",
        [*first, ("2.txt", b"b"), ("2.cls", b"7"), ("2.jpg", colours[1])],
    )
    write_shard(tmp_path / where / "1.tar", [("1.jpeg", colours[2]), ("1.txt", b"c")])
    pairs = read_folder(tmp_path)
    assert told(pairs)[0] == (f"{where}0.tar/in/1.jpg", "an äpple", "apple", "fruit", "test")
    assert pairs.captions([1, 2]) == ["b", "c"]
    assert pairs.row(0) == f"shard {where}0.tar, key in/1"
    assert pairs.row(2) == f"shard {where}1.tar, key 1"
    for row, held in enumerate(colours):
        want = torch.from_numpy(np.array(Image.open(io.BytesIO(held)))).permute(2, 0, 1)
        assert torch.equal(pairs.pixels([row], 8)[0], want)


@pytest.mark.parametrize(
    ("parts", "caption"),
    [
        ({"input.jpg": None, "outputs.txt": b"a"}, "a"),
        ({"jpg": None, "seg.png": None, "txt": b"a", "prompt.txt": b"b"}, "a"),
        ({"png": None, "json": b'{"caption": "a", "url": "x"}'}, "a"),
        ({"png": None, "json": b'{"TEXT": "a"}', "cls": b"3"}, "a"),
    ],
)
def test_parts_may_have_other_names(
    tmp_path: Path, parts: dict[str, bytes | None], caption: str
) -> None:
    members = [(f"1.{part}", held or encoded(9)) for part, held in parts.items()]
    write_shard(tmp_path / "0.tar", members)
    pairs = read_folder(tmp_path)
    assert pairs.captions([0]) == [caption] and pairs.pixels([0], 4)[0, 0, 0, 0] == 9


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (("a.jpg", "b.jpg", "txt"), "not clear which part is the picture; its parts are a.jpg"),
        (("jpg", "a.txt", "b.txt"), "not clear which part is the caption; its parts are a.txt"),
        (("jpg", "cls"), "there is no caption; its parts are cls, jpg"),
    ],
)
def test_parts_that_are_not_clear_are_named(
    tmp_path: Path, parts: tuple[str, ...], said: str
) -> None:
    write_shard(tmp_path / "0.tar", [(f"1.{part}", encoded()) for part in parts])
    ((place, kind, words),) = problems(tmp_path)
    assert (place, kind) == ("shard 0.tar, key 1", "missing file") and said in words


def test_a_name_with_a_dot_is_not_lost_in_another_sample(tmp_path: Path) -> None:
    """A key ends at the first dot; a mask is a further part, a picture with a caption is none."""
    mask = [("1.png", encoded()), ("1.txt", b"a"), ("1.seg.png", encoded(1)), ("2.png", encoded(2))]
    write_shard(tmp_path / "0.tar", [*mask, ("2.txt", b"b")])
    assert not problems(tmp_path) and len(read_folder(tmp_path)) == 2
    for text in ("txt", "json"):
        more = [("1.1.png", encoded(3)), (f"1.1.{text}", b'{"caption": "c"}')]
        write_shard(tmp_path / "0.tar", [*mask[:2], *more])
        ((place, kind, words),) = problems(tmp_path)
        assert (place, kind) == ("shard 0.tar, key 1", "unreadable row")
        assert "1.png is a second picture with its own caption" in words and "rename" in words


def test_a_caption_of_any_name_in_json_is_read_by_option(tmp_path: Path) -> None:
    write_shard(tmp_path / "0.tar", [("1.png", encoded()), ("1.json", b'{"a": "b"}')])
    assert "it has a" in problems(tmp_path)[0][2]
    assert read_folder(tmp_path, columns=Columns(caption="a")).captions([0]) == ["b"]


def test_folders_and_names_of_shards_tell_the_split(tmp_path: Path) -> None:
    for number, name in enumerate(("train/0.tar", "val/0.tar")):
        write_shard(tmp_path / name, [("1.png", encoded(number)), ("1.txt", b"a")])
    assert {(each[0], each[4]) for each in told(read_folder(tmp_path))} == {
        ("train/0.tar/1.png", "train"),
        ("val/0.tar/1.png", "validation"),
    }


def test_parts_that_a_shard_lacks_are_named(tmp_path: Path) -> None:
    members = [("1.png", encoded()), ("2.txt", b"b"), ("3.png", b"?"), ("3.txt", b"c")]
    members += [("4.png", encoded(4)), ("4.txt", b"d"), ("4.json", b"{")]
    members += [("5.png", encoded(5)), ("5.txt", b"\n"), ("6.png", encoded(6)), ("6.txt", b"f")]
    write_shard(tmp_path / "0.tar", members)
    assert [each[:2] for each in problems(tmp_path)] == [
        ("shard 0.tar, key 1", "missing file"),
        ("shard 0.tar, key 2", "missing file"),
        ("shard 0.tar, key 4", "unreadable row"),
        ("shard 0.tar, key 5", "empty caption"),
        ("shard 0.tar, key 3", "damaged picture"),
    ]
    assert read_folder(tmp_path, skip_bad=True).row(0) == "shard 0.tar, key 6"


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    members = [(f"{n}.{part}", held) for n in range(3) for part, held in _sample(n)]
    file = write_shard(tmp_path / "0.tar", members)
    whole = file.read_bytes()
    with tarfile.open(file) as tar:
        header = tar.getmember("1.png").offset
    for content, said, kept in [
        (whole[: header + 515], "it ends too early", 1),
        (whole[: header + 100], "a header is damaged", 1),
        (whole[:header] + b"?" * 512 + whole[header + 512 :], "a header is damaged", 1),
        (b"not a tar at all", "", 0),
        (b"", "", 0),
    ]:
        put(file, content)
        (*_, (place, kind, words)) = problems(tmp_path)
        assert (place, kind) == ("shard 0.tar", "damaged shard") and said in words
        assert check_folder(tmp_path).kept == kept


def _sample(number: int) -> list[tuple[str, bytes]]:
    return [("png", encoded(number)), ("txt", b"a")]
