"""Tables of pairs, good and bad."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from support_folder import (
    encoded,
    only_problem,
    put,
    simple,
    told,
    write_pictures,
    write_table,
)

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.data.folder.columns import Columns
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


def test_two_tables_are_an_error(tmp_path: Path) -> None:
    for form in ("csv", "parquet"):
        write_table(tmp_path, form, [{"image": "a.png", "caption": "a"}])
    with pytest.raises(UsageError, match=r"has pairs.csv and pairs.parquet: leave one of them"):
        check_folder(tmp_path)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_missing_column_is_an_error(tmp_path: Path, form: str) -> None:
    write_table(tmp_path, form, [{"image": "a.png", "words": "a"}])
    with pytest.raises(UsageError, match=rf"pairs.{form} has no column 'caption'; it has image"):
        check_folder(tmp_path)


def test_a_table_of_another_kind_is_an_error(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_bytes("image,caption\na.png,a\n".encode("utf-16"))
    write_pictures(tmp_path, "a.png")
    assert len(read_folder(tmp_path)) == 1  # Excel's "Unicode text"
    table.write_bytes(b"\xef\xbb\xbfimage,caption\xff\na.png,\xc3\xa9\n")
    with pytest.raises(UsageError, match="is not in UTF-8: save it again"):
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
        ("{", "unreadable row", "this is not JSON"),
        ("[" * 100_000, "unreadable row", "this is not JSON"),
        ("[1]", "unreadable row", "this is not a JSON object"),
        ('{"image": "a.png", "caption": 7}', "unreadable row", "'caption' is not text"),
        ('{"image": "a.png", "caption": null}', "empty caption", "there is no caption"),
        (
            '{"image": "a.png", "caption": "b", "caption": "c"}',
            "unreadable row",
            "this is not JSON: caption is in it twice",
        ),
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


# Tables under other names, and several of them


def test_the_tables_of_image_folders_are_read_with_their_splits(tmp_path: Path) -> None:
    for split, name in (("train", "a.png"), ("Validation", "b.png"), ("test", "c.png")):
        write_pictures(tmp_path / split, name)
        (tmp_path / split / name).write_bytes(encoded(ord(name[0])))
        line = f'{{"file_name": "{name}", "text": "{split}"}}\n'
        put(tmp_path / split / "metadata.jsonl", line.encode())
    pairs = read_folder(tmp_path)
    found = {each[1]: (each[0], each[4]) for each in told(pairs)}
    assert found == {
        "train": ("train/a.png", "train"),
        "Validation": ("Validation/b.png", "validation"),
        "test": ("test/c.png", "test"),
    }
    row = pairs.captions(range(3)).index("test")
    assert pairs.row(row) == "test/metadata.jsonl, line 1"


def test_one_table_for_all_takes_the_splits_of_its_paths(tmp_path: Path) -> None:
    write_pictures(tmp_path, "Train/a.png", "TEST/b.png")
    put(tmp_path / "metadata.csv", b"file_name,text\nTrain/a.png,a\nTEST/b.png,b\n")
    assert list(map(read_folder(tmp_path).split.__getitem__, range(2))) == ["train", "test"]


def test_kaggles_results_are_read(tmp_path: Path) -> None:
    write_pictures(tmp_path, "flickr30k_images/1.jpg", "flickr30k_images/2.jpg")
    lines = ["image_name| comment_number| comment", '1.jpg| 0| A "red" car .', "1.jpg| 1| a, b ."]
    put(tmp_path / "results.csv", "\n".join([*lines, "2.jpg| 4   A dog ."]).encode())
    assert [each[:2] for each in told(read_folder(tmp_path, skip_bad=True))] == [
        ("flickr30k_images/1.jpg", 'A "red" car .'),
        ("flickr30k_images/1.jpg", "a, b ."),
    ]
    assert only_problem(tmp_path)[0] == "results.csv, line 4"
    report = check_folder(tmp_path)
    assert report.form == (
        "results.csv; pipe between cells; image is image_name, caption is comment"
    )
    assert report.passed_over == {".jpg": 1} and report.first_passed_over.endswith("2.jpg")


def test_tables_called_after_splits_are_read_as_one(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png")
    put(tmp_path / "Train.tsv", b"filepath\ttitle\na.png\ta\n")
    assert "called train, and divided" in check_folder(tmp_path).form
    put(tmp_path / "VAL.tsv", b"filepath\ttitle\nb.png\tb\n")
    put(tmp_path / "notes.csv", b"what,when\nx,y\n")
    splits = {(each[1], each[4]) for each in told(read_folder(tmp_path))}
    assert splits == {("a", "train"), ("b", "validation")}
    put(tmp_path / "train_2.tsv", b"filepath\ttitle\na.png\ta\n")
    with pytest.raises(UsageError, match=r"has Train.tsv and VAL.tsv: leave one of them"):
        check_folder(tmp_path)


def test_columns_with_swapped_names_are_read_by_what_is_in_them(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png")
    put(tmp_path / "train.tsv", b"title\tfilepath\na.png\ta boat\n")
    assert read_folder(tmp_path).captions([0]) == ["a boat"]
    assert "the names of its two columns are swapped" in check_folder(tmp_path).form


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_row_may_have_several_captions(tmp_path: Path, form: str) -> None:
    write_pictures(tmp_path, "a.png")
    if form == "jsonl":
        put(tmp_path / "pairs.jsonl", b'{"image": "a.png", "captions": ["one", "two"]}')
    else:
        table = pa.table({"image": ["a.png"], "captions": [["one", "two"]]})
        parquet.write_table(table, tmp_path / "pairs.parquet")
    assert read_folder(tmp_path).captions([0, 1]) == ["one", "two"]


def test_columns_of_any_name_are_read_by_option(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png")
    put(tmp_path / "bilder.csv", b"datei;text;beschreibung\na.png;x;ein Boot\n")
    pairs = read_folder(tmp_path, columns=Columns("datei", "beschreibung"))
    assert pairs.captions([0]) == ["ein Boot"]


def test_a_table_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    write_pictures(tmp_path, "in/a.png")
    put(tmp_path / "pairs.csv", b"image,caption\na.png,a\n")
    (tmp_path / "in" / "pairs.csv").symlink_to(tmp_path / "pairs.csv")
    with pytest.raises(UsageError, match=r"pairs.csv is a link out of the folder"):
        check_folder(tmp_path / "in")


def test_a_key_of_some_lines_alone_counts(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png")
    lines = ['{"image": "a.png", "caption": "a"}']
    lines.append('{"image": "b.png", "caption": "b", "concept": "boat", "split": "val"}')
    put(tmp_path / "pairs.jsonl", "\n".join(lines).encode())
    assert told(read_folder(tmp_path))[1] == ("b.png", "b", "boat", None, "validation")
