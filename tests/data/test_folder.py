"""A user's own folder: every form of it, every mistake in it, and the list that comes out."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet
from torchvision import transforms

from erasekit.data import folder as folders
from erasekit.data import listing
from erasekit.data.folder import check_folder, read_folder
from erasekit.data.listing import SPLITS, FolderPairs
from erasekit.errors import RunError, UsageError

HEADER = ["image", "caption", "concept", "group", "split"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that does not lie in the folder that is read."""
    monkeypatch.setenv("ERASEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))


def encoded(colour: int = 0, kind: str = "PNG", size: tuple[int, int] = (6, 4)) -> bytes:
    """A picture whose bytes are another's only if its colour is."""
    held = io.BytesIO()
    Image.new("RGB", size, (colour % 256, colour // 256, 9)).save(held, kind)
    return held.getvalue()


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    )


def put(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def write_pictures(folder: Path, *names: str) -> None:
    for colour, name in enumerate(names):
        put(folder / name, encoded(colour))


def write_table(folder: Path, form: str, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"pairs.{form}"
    names = list(dict.fromkeys(name for row in rows for name in row))
    if form == "csv":
        with table.open("w", encoding="utf-8", newline="") as file:
            lines = csv.DictWriter(file, names)
            lines.writeheader()
            lines.writerows(rows)
    elif form == "jsonl":
        table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
        parquet.write_table(pa.table(columns), table)
    return table


def write_shard(file: Path, members: list[tuple[str, bytes]]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, held in members:
            info = tarfile.TarInfo(name)
            info.size = len(held)
            tar.addfile(info, io.BytesIO(held))
    return file


def simple(folder: Path, *rows: str, names: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    """A folder with two pictures, and a table with these lines."""
    write_pictures(folder, *names)
    table = folder / "pairs.csv"
    table.write_text("\n".join(["image,caption", *rows]) + "\n", encoding="utf-8")
    return folder


def told(pairs: FolderPairs) -> list[tuple]:
    return [
        (pairs.path(i), pairs.caption(i), pairs.concept[i], pairs.group[i], pairs.split[i])
        for i in range(len(pairs))
    ]


def problems(folder: Path, **how: Any) -> list[tuple[str, str, str]]:
    return [tuple(each) for each in check_folder(folder, progress=False, **how).problems()]


def only_problem(folder: Path, **how: Any) -> tuple[str, str, str]:
    (found,) = problems(folder, **how)
    return found


# The forms


ROWS = [
    {"image": "x/a.png", "caption": "an apple", "concept": "apple", "group": "fruit"},
    {"image": "./x//a.png", "caption": ' "Apple",\nred ', "concept": "apple", "group": "fruit"},
    {"image": "x/é.png", "caption": "りんご 🍎", "concept": "", "group": "", "split": "Test"},
]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_table_is_read(tmp_path: Path, form: str) -> None:
    write_pictures(tmp_path, "x/a.png", "x/é.png")
    rows = [{**row, "split": row.get("split", ""), "other": "1"} for row in ROWS]
    write_table(tmp_path, form, rows)
    pairs = read_folder(f"folder:{tmp_path}", progress=False)
    split = pairs.split[0]
    assert told(pairs) == [
        ("x/a.png", "an apple", "apple", "fruit", split),
        ("x/a.png", ' "Apple",\nred ', "apple", "fruit", split),
        ("x/é.png", "りんご 🍎", None, None, "test"),
    ]
    assert pairs.picture[0] == pairs.picture[1] != pairs.picture[2]
    assert pairs.captions([2, 0]) == ["りんご 🍎", "an apple"]
    assert pairs.concept.names == ("apple",) and pairs.concept.codes.tolist() == [0, 0, -1]
    places = {"csv": [2, 3, 5], "jsonl": [1, 2, 3], "parquet": [0, 1, 2]}[form]
    unit = "row" if form == "parquet" else "line"
    assert [pairs.row(i) for i in range(3)] == [f"pairs.{form}, {unit} {n}" for n in places]


def test_a_table_needs_no_more_than_two_columns(tmp_path: Path) -> None:
    pairs = read_folder(simple(tmp_path, "a.png,one", "", "b.png,two"))
    assert pairs.captions(range(2)) == ["one", "two"] and pairs.concept[0] is None
    assert pairs.row(1) == "pairs.csv, line 4"


def test_texts_of_parquet_may_be_dictionaries(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png")
    texts = pa.array(["a.png"]).dictionary_encode()
    table = pa.table({"image": texts, "caption": pa.array(["a"], pa.large_string())})
    parquet.write_table(table.append_column("split", pa.nulls(1)), tmp_path / "pairs.parquet")
    assert read_folder(tmp_path).captions([0]) == ["a"]


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


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_pictures(tmp_path, "train/1.png", "ship/1.png")
    assert read_folder(tmp_path).concept.names == ("ship", "train")


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


def test_what_is_no_such_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere is not a folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"none of pairs.csv, .*no folder for each class"):
        read_folder(tmp_path)
    (tmp_path / "apple").mkdir()
    with pytest.raises(UsageError, match="the classes has no rows"):
        read_folder(tmp_path)
    (tmp_path / "pairs.csv").write_text("image,caption\n")
    with pytest.raises(UsageError, match=r"pairs.csv has no rows"):
        read_folder(tmp_path)
    with pytest.raises(UsageError, match="unknown kind of checks 'al': did you mean 'all'"):
        read_folder(tmp_path, checks="al")


def test_two_tables_are_an_error(tmp_path: Path) -> None:
    for form in ("csv", "parquet"):
        write_table(tmp_path, form, [{"image": "a.png", "caption": "a"}])
    with pytest.raises(UsageError, match=r"has pairs.csv and pairs.parquet: leave one of them"):
        check_folder(tmp_path)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_missing_column_is_an_error(tmp_path: Path, form: str) -> None:
    write_table(tmp_path, form, [{"image": "a.png", "text": "a"}])
    with pytest.raises(UsageError, match=rf"pairs.{form} has no column 'caption'; it has image"):
        check_folder(tmp_path)


def test_a_table_of_another_kind_is_an_error(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_bytes("image,caption\na.png,a\n".encode("utf-16"))
    with pytest.raises(UsageError, match="is not in UTF-8: save it anew"):
        check_folder(tmp_path)
    table.write_text("image,caption,caption\na.png,a,b\n")
    with pytest.raises(UsageError, match="has the column 'caption' twice"):
        check_folder(tmp_path)
    table.write_bytes(b"\xef\xbb\xbfimage , caption\na.png,a\n")
    write_pictures(tmp_path, "a.png")
    assert len(read_folder(tmp_path)) == 1
    table.unlink()
    numbers = pa.table({"image": ["a.png"], "caption": [7]})
    parquet.write_table(numbers, tmp_path / "pairs.parquet")
    with pytest.raises(UsageError, match="the column 'caption' has int64 in it, not texts"):
        check_folder(tmp_path)
    put(tmp_path / "pairs.parquet", b"PAR1 and no more")
    with pytest.raises(RunError, match=r"pairs.parquet is damaged: [^\n]*$"):
        check_folder(tmp_path)


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"package pyarrow: pip install 'erasekit\[data\]'"):
        read_folder(tmp_path)


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    code = "import sys, erasekit.data.folder, erasekit.data.selection; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "pyarrow", "PIL", "pandas"}.isdisjoint(done.stdout.split())


# What may be wrong with a row


@pytest.mark.parametrize(
    ("row", "kind", "said"),
    [
        ("c.png,a", "missing file", "c.png is not there"),
        (r"x\a.png,a", "missing file", r"x\a.png is not there"),
        ("x,a", "missing file", "x is no file"),
        (",a", "missing file", "no picture is named"),
        ("a.png,", "empty caption", "there is no caption"),
        ("a.png, \t ", "empty caption", "there is no caption"),
        ("a.png,a\ufffd", "wrong encoding", "'caption' is not UTF-8"),
        ("a.png,a\0b", "wrong encoding", "'caption' is not UTF-8"),
        ("a\0.png,a", "wrong encoding", "'image' is not UTF-8"),
        ("../a.png,a", "path outside the folder", "../a.png leaves the folder"),
        ("x/../../a.png,a", "path outside the folder", "../a.png leaves the folder"),
        ("/etc/a.png,a", "path outside the folder", "is absolute"),
        (r"C:\a.png,a", "path outside the folder", "is absolute"),
        ("a.png,red, ripe", "unreadable row", "3 cells under 2 columns"),
        ("a.png", "unreadable row", "1 cells under 2 columns"),
        ('a.png,"red', "unreadable row", "this is no CSV"),
        (f"a.png,{'x' * 110_000}", "unreadable row", "has 110,000 characters"),
        (f"a.png,{'x' * 140_000}", "unreadable row", "this is no CSV: field larger"),
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


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("{", "unreadable row", "this is no JSON"),
        ("[" * 100_000, "unreadable row", "this is no JSON"),
        ("[1]", "unreadable row", "this is no JSON object"),
        ('{"image": "a.png", "caption": 7}', "unreadable row", "'caption' is no text"),
        ('{"image": "a.png", "caption": null}', "empty caption", "there is no caption"),
        ('{"image": "a.png"}', "empty caption", "there is no caption"),
        ('{"caption": "a"}', "missing file", "no picture is named"),
        (r'{"image": "a.png", "caption": "\ud800"}', "wrong encoding", "'caption'"),
    ],
)
def test_a_bad_line_of_json_is_named(tmp_path: Path, line: str, kind: str, said: str) -> None:
    write_pictures(tmp_path, "a.png")
    good = '{"image": "a.png", "caption": "a"}'
    (tmp_path / "pairs.jsonl").write_text(f"{good}\n\n{line}\n", encoding="utf-8")
    place, found, words = only_problem(tmp_path)
    assert (place, found) == ("pairs.jsonl, line 3", kind) and said in words


def test_bytes_that_are_no_utf8_are_named_in_every_form(tmp_path: Path) -> None:
    latin = "pâté".encode("latin-1")
    line = b'{"image": "a.png", "caption": "' + latin + b'"}\n'
    caption = pa.array([latin]).cast(pa.string(), safe=False)
    for form, write in {
        "csv": lambda file: put(file, b"image,caption\na.png," + latin + b"\n"),
        "jsonl": lambda file: put(file, line),
        "parquet": lambda file: parquet.write_table(
            pa.table({"image": ["a.png"], "caption": caption}), file
        ),
    }.items():
        folder = tmp_path / form
        write_pictures(folder, "a.png")
        write(folder / f"pairs.{form}")
        assert only_problem(folder)[1] == "wrong encoding"
    write_shard(tmp_path / "s" / "0.tar", [("1.png", encoded()), ("1.txt", latin)])
    assert only_problem(tmp_path / "s")[:2] == ("shard 0.tar, key 1", "wrong encoding")
    (tmp_path / "c" / "x").mkdir(parents=True)
    try:
        put(Path(os.fsdecode(os.fsencode(tmp_path / "c" / "x") + b"/\xff\n.png")), encoded())
    except OSError:
        return  # a file system that takes UTF-8 alone
    assert only_problem(tmp_path / "c")[:2] == (r"file x/\udcff\n.png", "wrong encoding")


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
    assert only_problem(simple(tmp_path, "c.png,a"))[2] == "c.png is no file"


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (b"", "no JPEG, PNG, WebP, GIF or BMP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no JPEG, PNG, WebP, GIF or BMP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no JPEG, PNG, WebP, GIF or BMP"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, held: bytes, said: str) -> None:
    put(tmp_path / "c.png", held)
    simple(tmp_path, "a.png,a", "c.png,a", "c.png,b")
    want = ("pairs.csv, line 3", "damaged picture", f"c.png: {said}")
    assert only_problem(tmp_path) == want  # once, though two rows show it
    assert len(read_folder(tmp_path, skip_bad=True)) == 1
    assert problems(tmp_path, checks="table") == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_picture_cut_short_is_named(tmp_path: Path, kind: str) -> None:
    held = io.BytesIO()
    noise(64, 64).save(held, kind)
    put(tmp_path / "c.png", held.getvalue())
    simple(tmp_path, "c.png,a")
    assert len(read_folder(tmp_path)) == 1  # whatever its name says
    put(tmp_path / "c.png", held.getvalue()[: len(held.getvalue()) // 2])
    place, found, words = only_problem(tmp_path)
    assert (place, found) == ("pairs.csv, line 2", "damaged picture") and "\n" not in words


def test_pictures_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simple(tmp_path, "a.png,a")
    monkeypatch.setattr(listing, "_MOST_PIXELS", 23)
    assert only_problem(tmp_path)[2] == "a.png: it is 6 × 4, more than 23 pixels"
    monkeypatch.setattr(listing, "_MOST_BYTES", 23)
    (tmp_path / "a.png").touch()
    assert only_problem(tmp_path)[2] == "a.png: it has more than 23 bytes"


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
    assert [each[0::4] for each in told(pairs)] == [("a.png", "train"), ("b.png", "test")]
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
    assert SPLITS[folders._hashed_split("0.png")] == pairs.split[0]
    assert len(set(read_folder(tmp_path, checks="table").split.codes)) > 1
    rows[7]["split"] = "test"
    write_table(tmp_path, "csv", rows)
    assert set(read_folder(tmp_path).split.codes) == {SPLITS.index("test")}


# The report


def test_the_report_counts_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    simple(tmp_path, "c.png,a", "a.png,", "d.png,a", "a.png,fine")
    report = check_folder(tmp_path)
    assert report.counts == {"missing file": 2, "empty caption": 1}
    assert (report.rows, report.pictures, report.kept) == (4, 3, 1)
    assert report.first == ("pairs.csv, line 3", "empty caption", "there is no caption")
    with pytest.raises(UsageError) as caught:
        read_folder(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} has problems: 1 × empty caption, 2 × missing file. The first: pairs.csv, "
        f"line 3: there is no caption. All are in {report.path}; skip_bad leaves them out"
    )
    said = str(report)
    assert "4 rows, 1 of them good" in said and "        2  missing file" in said
    assert str(report.path) in said
    copy = report.write(tmp_path / "new" / "problems.csv")
    lines = copy.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "place,kind,said" and len(lines) == 4
    assert lines[2] == '"pairs.csv, line 2",missing file,c.png is not there'
    assert len(read_folder(tmp_path, skip_bad=True)) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        report.write(tmp_path / "file" / "problems.csv")


def test_a_folder_without_a_good_row_is_an_error_all_the_same(tmp_path: Path) -> None:
    simple(tmp_path, "c.png,a")
    with pytest.raises(UsageError, match=r"no row is good$"):
        read_folder(tmp_path, skip_bad=True)
    simple(tmp_path, "a.png,")
    with pytest.raises(UsageError, match=r"line 2: there is no caption.*no row is good$"):
        read_folder(tmp_path, skip_bad=True)


def test_a_good_folder_says_so(tmp_path: Path) -> None:
    report = check_folder(simple(tmp_path, "a.png,a"))
    assert str(report).splitlines()[-1] == "no problems" and not list(report.problems())


# The cache


def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is decoded from now on."""
    seen: list[bytes] = []
    real = listing.decode

    def decode(held: bytes) -> Image.Image:
        seen.append(held)
        return real(held)

    monkeypatch.setattr(folders, "decode", decode)
    return seen


def test_a_second_run_decodes_nothing_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(monkeypatch)
    simple(tmp_path, "a.png,a", "b.png,b")
    first = told(read_folder(tmp_path))
    assert len(seen) == 2
    assert told(read_folder(tmp_path)) == first and len(seen) == 2
    put(tmp_path / "b.png", b"?")
    assert only_problem(tmp_path)[2].startswith("b.png: ") and len(seen) == 4
    (tmp_path / "b.png").unlink()
    assert only_problem(tmp_path)[2] == "b.png is not there"
    simple(tmp_path, "a.png,anew", "b.png,b")
    assert read_folder(tmp_path).caption(0) == "anew"


def test_an_interrupted_check_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n}.png" for n in range(9)]
    simple(tmp_path, *(f"{name},a" for name in names), names=tuple(names))
    monkeypatch.setattr(folders, "_SAVED_AT_ONCE", 3)
    real = folders._digest

    def interrupted(root: Path, spot: listing.Spot) -> tuple[str, str]:
        if spot.path == "4.png":
            raise KeyboardInterrupt
        return real(root, spot)

    monkeypatch.setattr(folders, "_digest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_folder(tmp_path)
    monkeypatch.setattr(folders, "_digest", real)
    seen = counted(monkeypatch)
    assert len(read_folder(tmp_path)) == 9 and len(seen) == 6


def test_only_the_texts_are_read_when_pictures_are_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(monkeypatch)
    simple(tmp_path, "a.png,a")
    assert len(read_folder(tmp_path, checks="table")) == 1 and not seen


def test_rows_are_found_over_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "BATCH", 4)
    monkeypatch.setattr(listing, "BATCH", 4)
    names = [f"{n}.png" for n in range(11)]
    simple(tmp_path, *(f"{name},caption {name}" for name in names), names=tuple(names))
    pairs = read_folder(tmp_path)
    assert [(each[0], each[1]) for each in told(pairs)] == [(n, f"caption {n}") for n in names]
    assert np.flatnonzero(pairs.matches(r"\b9")).tolist() == [9]


# The list


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> FolderPairs:
    """Thirty pictures, each with two captions."""
    folder = tmp_path_factory.mktemp("many")
    names = [f"{n}.png" for n in range(30)]
    simple(folder, *(f"{name},{name} {k}" for k in "ab" for name in names), names=tuple(names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERASEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return read_folder(folder, progress=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 59)), st.data())
def test_take_and_where_compose(many: FolderPairs, indices: list[int], data: st.DataObject) -> None:
    view = many.take(indices)
    assert view.captions(range(len(view))) == many.captions(indices)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(view), max_size=len(view))))
    chosen = view.where(mask.astype(bool))
    want = [index for index, keep in zip(indices, mask, strict=True) if keep]
    assert chosen.captions(range(len(chosen))) == many.captions(want)
    assert chosen.picture.tolist() == many.picture[want].tolist()
    assert chosen.split.codes.tolist() == many.split.codes[want].tolist()
    assert [chosen.row(i) for i in range(len(chosen))] == [many.row(i) for i in want]


def test_a_mask_of_another_length_is_refused(many: FolderPairs) -> None:
    with pytest.raises(UsageError, match=r"the mask has shape \(3,\), and there are 60 pairs"):
        many.where(np.ones(3, dtype=bool))


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_a_path_belongs_to_one_split_for_ever(path: str) -> None:
    tenth = int(hashlib.sha256(path.encode()).hexdigest()[:16], 16) % 10
    assert folders._hashed_split(path) == (0 if tenth < 8 else tenth - 7)


def test_the_shares_of_the_splits_are_near_what_is_said() -> None:
    found = Counter(folders._hashed_split(f"img/{n:06}.jpg") for n in range(20_000))
    for split, share in enumerate((0.8, 0.1, 0.1)):
        assert found[split] / 20_000 == pytest.approx(share, abs=0.01)


def test_all_rows_of_a_picture_are_in_one_split(many: FolderPairs) -> None:
    splits = {(p, s) for p, s in zip(many.picture, many.split.codes, strict=True)}
    assert len(splits) == 30 and len({s for _, s in splits}) > 1


# Pixels


@pytest.mark.parametrize("size", [(50, 37), (31, 80), (224, 224), (3, 2), (2, 32)])
def test_pixels_are_what_clip_preprocessing_makes(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = noise(*size)
    held = io.BytesIO()
    picture.save(held, "PNG")
    put(tmp_path / "a.png", held.getvalue())
    pairs = read_folder(simple(tmp_path, "c.png,c", "a.png,a", names=("c.png",)))
    bicubic = transforms.InterpolationMode.BICUBIC
    clip = transforms.Compose([transforms.Resize(32, bicubic), transforms.CenterCrop(32)])
    want = torch.from_numpy(np.array(clip(picture))).permute(2, 0, 1)
    found = pairs.pixels([1, 0, 1], 32)
    assert found.shape == (3, 3, 32, 32) and found.dtype == torch.uint8
    assert torch.equal(found[0], found[2]) and not torch.equal(found[0], found[1])
    assert torch.equal(found[0], want)


def test_a_very_long_picture_fits_into_memory(tmp_path: Path) -> None:
    held = io.BytesIO()
    picture = Image.new("RGB", (200_000, 1), (9, 8, 7))
    picture.paste((5, 5, 5), (100_000, 0, 200_000, 1))
    picture.save(held, "PNG")
    put(tmp_path / "a.png", held.getvalue())
    pairs = read_folder(simple(tmp_path, "a.png,a", names=()))
    found = pairs.pixels([0], 512)[0, :, 3]  # resized whole, it would have 157 GB
    assert found[:, 0].tolist() == [9, 8, 7] and found[:, -1].tolist() == [5, 5, 5]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_pictures_of_every_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    held = io.BytesIO()
    picture = Image.new("RGB", (9, 9), (255, 255, 255)).convert(mode)
    how = {"transparency": b"\x05" * 4} if mode == "P" else {}
    picture.save(held, "JPEG" if mode == "CMYK" else "PNG", **how)
    put(tmp_path / "a.png", held.getvalue())
    pairs = read_folder(simple(tmp_path, "a.png,a", names=()))
    assert (pairs.pixels([0], 4) == 255).all()


def test_a_picture_that_went_away_is_named(tmp_path: Path) -> None:
    pairs = read_folder(simple(tmp_path, "a.png,a", "b.png,b"))
    (tmp_path / "b.png").unlink()
    assert pairs.pixels([0], 4).shape == (1, 3, 4, 4)
    with pytest.raises(RunError, match=r"^pairs.csv, line 3: b.png cannot be read: No such file"):
        pairs.pixels([0, 1], 4)
    put(tmp_path / "b.png", b"?")
    with pytest.raises(RunError, match=r"b.png cannot be read: no JPEG, PNG, WebP, GIF or BMP"):
        pairs.pixels([1], 4)


def test_a_shard_that_became_shorter_is_named(tmp_path: Path) -> None:
    file = write_shard(tmp_path / "0.tar", [("1.png", encoded()), ("1.txt", b"a")])
    pairs = read_folder(tmp_path)
    put(file, file.read_bytes()[:530])
    with pytest.raises(RunError, match=r"^shard 0.tar, key 1: .*shard ends before the picture"):
        pairs.pixels([0], 4)
