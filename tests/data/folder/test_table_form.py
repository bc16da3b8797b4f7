"""Tables of pairs, good and bad."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from support_folder import (
    only_problem,
    put,
    simple,
    told,
    write_pictures,
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
