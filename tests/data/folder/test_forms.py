"""Every form of a user's own folder, and what cannot be read in it."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from support_folder import (
    encoded,
    only_problem,
    problems,
    put,
    simple,
    told,
    write_pictures,
    write_shard,
    write_table,
)

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.errors import RunError, UsageError

pytestmark = pytest.mark.usefixtures("own_cache")


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
