"""Parquet files with the pictures in them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from support_folder import encoded, only_problem, put, told

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.data.folder.selection import ask
from erasekit.errors import RunError, UsageError

pytestmark = pytest.mark.usefixtures("own_cache")

COLOURS = [encoded(colour) for colour in range(6)]


def write(file: Path, columns: dict[str, Any], **how: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), file, **how)


def struct(*pictures: bytes | None, paths: bool = True) -> list[dict[str, Any]]:
    told = [{"bytes": held, "path": f"{at}.png"} for at, held in enumerate(pictures)]
    return told if paths else [{**each, "path": None} for each in told]


def test_hugging_faces_files_are_read_with_their_splits(tmp_path: Path) -> None:
    captions = [["one", "two"], ["three"], ["four"]]
    train = tmp_path / "data" / "train-00000-of-00001.parquet"
    write(train, {"image": struct(*COLOURS[:3]), "caption": captions}, row_group_size=2)
    test = tmp_path / "data" / "test-00000-of-00001.parquet"
    write(test, {"image": struct(COLOURS[3], paths=False), "caption": [["five"]]})
    put(tmp_path / "README.md", b"# data")
    pairs = read_folder(tmp_path)
    rows = {each[1]: (each[0], each[4]) for each in told(pairs)}
    assert rows == {
        "one": (f"data/{train.name}/0.png", "train"),
        "two": (f"data/{train.name}/0.png", "train"),
        "three": (f"data/{train.name}/1.png", "train"),
        "four": (f"data/{train.name}/2.png", "train"),
        "five": (f"data/{test.name}/0", "test"),
    }
    for row in range(len(pairs)):
        at = {"one": 0, "two": 0, "three": 1, "four": 2, "five": 3}[pairs.caption(row)]
        want = np.array(Image.open(io.BytesIO(COLOURS[at])).crop((1, 0, 5, 4)))
        assert torch.equal(pairs.pixels([row], 4)[0], torch.from_numpy(want).permute(2, 0, 1))
    assert pairs.row(rows_of(pairs, "four")) == f"data/{train.name}, row 2"


def test_a_request_for_a_name_of_several_pictures_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own" / "data" / "train-00000-of-00001.parquet"
    pictures = [{"bytes": held, "path": "image.jpg"} for held in COLOURS[:3]]
    other = {"bytes": COLOURS[3], "path": "other.jpg"}
    write(file, {"image": [*pictures, other, other], "caption": list("abcde")})
    pairs = read_folder(tmp_path / "own")
    assert len(set(pairs.picture)) == 4
    (tmp_path / "list.txt").write_text("image.jpg")
    with pytest.raises(UsageError, match=r"several different pictures are called 'data/.*/image"):
        ask(pairs, f"files={tmp_path / 'list.txt'}")
    (tmp_path / "list.txt").write_text("other.jpg")  # two rows with the same picture
    found = ask(pairs, f"files={tmp_path / 'list.txt'}")
    assert found.selected.tolist() == [False] * 3 + [True] * 2


def rows_of(pairs: Any, caption: str) -> int:
    return pairs.captions(range(len(pairs))).index(caption)


def test_names_of_classes_stand_for_captions_where_there_are_none(tmp_path: Path) -> None:
    label = {"names": ["red_apple", "pear"], "_type": "ClassLabel"}
    about = {b"huggingface": json.dumps({"info": {"features": {"label": label}}}).encode()}
    table = pa.table({"img": COLOURS[:2], "label": [1, 0]}).replace_schema_metadata(about)
    parquet.write_table(table, tmp_path / "train.parquet")
    assert [each[1:3] for each in told(read_folder(tmp_path))] == [
        ("pear", "pear"),
        ("red apple", "red apple"),
    ]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    file = tmp_path / "all.parquet"
    write(file, {"image": struct(COLOURS[0], None), "text": ["a", "b"]})
    assert only_problem(tmp_path) == (
        "all.parquet, row 1",
        "damaged picture",
        "all.parquet/1.png: the file holds no bytes of it",
    )
    write(file, {"image": struct(COLOURS[0]), "words": ["a"], "label": [3]})
    with pytest.raises(UsageError, match=r"no column 'caption'; it has image, words, label"):
        check_folder(tmp_path)
    write(file, {"image": struct(COLOURS[0]), "text": [3]})
    with pytest.raises(UsageError, match=r"the column 'text' has int64 in it, not texts"):
        check_folder(tmp_path)


def test_a_file_that_was_damaged_later_is_named(tmp_path: Path) -> None:
    file = tmp_path / "all.parquet"
    write(file, {"image": struct(COLOURS[0]), "text": ["a"]})
    pairs = read_folder(tmp_path)
    put(file, b"PAR1 and no more")
    with pytest.raises(RunError, match=r"^all.parquet, row 0: .* cannot be read"):
        pairs.pixels([0], 4)
