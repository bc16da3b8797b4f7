"""Captions of many pictures in one JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support_folder import problems, put, told, write_pictures

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.errors import UsageError

pytestmark = pytest.mark.usefixtures("own_cache")


def write(file: Path, value: Any) -> None:
    put(file, json.dumps(value).encode())


def coco(*names: str, first: int = 0) -> dict[str, Any]:
    return {
        "info": {},
        "images": [{"id": first + at, "file_name": name} for at, name in enumerate(names)],
        "annotations": [
            {"image_id": first + at, "caption": f"{name} {k}"}
            for at, name in enumerate(names)
            for k in range(2)
        ],
    }


def test_coco_is_read_with_the_splits_of_its_files(tmp_path: Path) -> None:
    write_pictures(tmp_path, "images/train2017/a.jpg", "images/val2017/b.jpg", "images/c.jpg")
    write(tmp_path / "annotations" / "captions_train2017.json", coco("a.jpg"))
    write(tmp_path / "annotations" / "captions_val2017.json", coco("b.jpg", first=7))
    write(tmp_path / "annotations" / "instances_val2017.json", {"images": [], "annotations": []})
    assert [(each[0], each[1], each[4]) for each in told(read_folder(tmp_path))] == [
        ("images/train2017/a.jpg", "a.jpg 0", "train"),
        ("images/train2017/a.jpg", "a.jpg 1", "train"),
        ("images/val2017/b.jpg", "b.jpg 0", "validation"),
        ("images/val2017/b.jpg", "b.jpg 1", "validation"),
    ]
    report = check_folder(tmp_path)
    assert "COCO" in report.form and report.passed_over == {".jpg": 1}  # c.jpg has no row
    assert read_folder(tmp_path).row(2) == "annotations/captions_val2017.json, entry 0"


def test_the_karpathy_split_is_read(tmp_path: Path) -> None:
    write_pictures(tmp_path, "val2014/a.jpg", "val2014/b.jpg")
    images = [
        {"filepath": "val2014", "filename": "a.jpg", "split": "restval"},
        {"filename": "b.jpg", "split": "test"},
    ]
    for image in images:
        image["sentences"] = [{"raw": f"{image['filename']} {k}"} for k in range(2)]
    write(tmp_path / "dataset_coco.json", {"images": images, "dataset": "coco"})
    assert [(each[0], each[1], each[4]) for each in told(read_folder(tmp_path))] == [
        ("val2014/a.jpg", "a.jpg 0", "train"),
        ("val2014/a.jpg", "a.jpg 1", "train"),
        ("val2014/b.jpg", "b.jpg 0", "test"),
        ("val2014/b.jpg", "b.jpg 1", "test"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        [{"image": "a.jpg", "caption": ["one", "two"]}],
        [{"file_name": "img/a.jpg", "text": "one"}, {"file_name": "img/a.jpg", "text": "two"}],
        {"a.jpg": ["one", "two"]},
    ],
)
def test_plain_lists_are_read(tmp_path: Path, value: Any) -> None:
    write_pictures(tmp_path, "img/a.jpg")
    write(tmp_path / "captions.json", value)
    assert [each[:2] for each in told(read_folder(tmp_path))] == [
        ("img/a.jpg", "one"),
        ("img/a.jpg", "two"),
    ]


def test_entries_that_make_no_sense_are_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.jpg", "x/b.jpg", "y/b.jpg")
    value = coco("a.jpg", "b.jpg")
    value["annotations"][1:] = [
        {"image_id": 9, "caption": "?"},
        {"image_id": 0, "bbox": [1]},
        {"image_id": 0, "caption": 3},
        {"image_id": 1, "caption": "b"},
    ]
    write(tmp_path / "captions.json", value)
    assert [each[0::2] for each in problems(tmp_path)] == [
        ("captions.json, entry 1", "no image has the id 9"),
        ("captions.json, entry 2", "an annotation without a caption; it has image_id, bbox"),
        ("captions.json, entry 3", "'caption' is not text"),
        (
            "captions.json, entry 4",
            "b.jpg could be x/b.jpg or y/b.jpg: write its whole path in the folder",
        ),
    ]


def test_other_json_is_refused_by_what_it_has(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.jpg")
    write(tmp_path / "captions.json", {"data": [{"caption": "a"}], "version": 1})
    with pytest.raises(UsageError, match=r"captions.json has data, version in it: write COCO's"):
        check_folder(tmp_path)
    put(tmp_path / "captions.json", b'[{"caption": ')
    with pytest.raises(UsageError, match=r"captions.json is damaged .*: write it again"):
        check_folder(tmp_path)
    write(tmp_path / "captions.json", [{"image": "a.jpg", "caption": "a"}])
    write(tmp_path / "others.json", [{"image": "a.jpg", "caption": "b"}])
    with pytest.raises(UsageError, match=r"has captions.json and others.json: leave one of them"):
        check_folder(tmp_path)
