"""Flickr30K, from small files of exactly its published form."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support_published import jpeg, script, tarred, zipped

from erasekit.data.published.common import Source
from erasekit.data.published.flickr30k import make_flickr30k
from erasekit.errors import RunError, UsageError
from erasekit.files import sha256_file


def flickr(*, dataset: str = "flickr30k") -> dict[str, Any]:
    """The published form, with three pictures of five captions each."""
    images = []
    for number, split in enumerate(("train", "val", "test")):
        ids = list(range(5 * number, 5 * number + 5))
        told = [f'Picture {number}, "told" no. {i} – ünïcode.' for i in ids]
        images.append(
            {
                "sentids": ids,
                "imgid": number,
                "sentences": [
                    {"tokens": raw.split(), "raw": raw, "imgid": number, "sentid": i}
                    for i, raw in zip(ids, told, strict=True)
                ],
                "split": split,
                "filename": f"100{number}.jpg",
            }
        )
    return {"images": images, "dataset": dataset}


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


PICTURES = {f"100{number}.jpg": jpeg(80 * number) for number in range(3)}


@pytest.fixture
def karpathy(tmp_path: Path) -> Path:
    return written(tmp_path / "dataset_flickr30k.json", flickr())


def pictures(path: Path) -> Path:
    """The pictures, as an archive or a folder by the name, with what else is found there."""
    files = {
        "flickr30k-images/readme.txt": b"not asked for",
        "flickr30k-images/999.jpg": jpeg(240),  # 769 of the published pictures are in no split
        **{f"flickr30k-images/{name}": content for name, content in PICTURES.items()},
    }
    if path.name.endswith(".zip"):
        mac = {f"__MACOSX/flickr30k-images/._{name}": b"mac" for name in PICTURES}
        return zipped(path, files | mac)
    if path.name.endswith(".gz"):
        return tarred(path, files)
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize("given", ["flickr30k-images.tar.gz", "flickr30k-images.zip", "folder"])
def test_flickr_becomes_a_row_a_caption(tmp_path: Path, karpathy: Path, given: str) -> None:
    out = tmp_path / "out"
    counts = make_flickr30k(karpathy, pictures(tmp_path / given), out)
    assert counts == {"train": 5, "validation": 5, "test": 5}
    pairs = pd.read_parquet(out / "pairs.parquet")
    assert list(pairs) == ["image", "caption", "split"]
    told = [s["raw"] for image in flickr()["images"] for s in image["sentences"]]
    assert pairs.caption.tolist() == told
    assert Counter(zip(pairs.image, pairs.split, strict=True)) == {
        ("images/1000.jpg", "train"): 5,
        ("images/1001.jpg", "validation"): 5,
        ("images/1002.jpg", "test"): 5,
    }
    assert {p.name: p.read_bytes() for p in (out / "images").iterdir()} == PICTURES
    assert sorted(p.name for p in out.iterdir()) == ["DATASET_CARD.md", "images", "pairs.parquet"]
    card = (out / "DATASET_CARD.md").read_text(encoding="utf-8")
    assert "| validation | 1 | 5 |" in card and sha256_file(karpathy) in card
    if given != "folder":
        assert sha256_file(tmp_path / given) in card


def test_pictures_are_copied_where_the_disk_has_no_links(
    tmp_path: Path, karpathy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    folder = pictures(tmp_path / "folder")
    make_flickr30k(karpathy, folder, tmp_path / "linked")
    monkeypatch.setattr(os, "link", no_links)
    make_flickr30k(karpathy, folder, tmp_path / "copied")
    first = folder / "flickr30k-images" / "1000.jpg"
    assert (tmp_path / "linked" / "images" / "1000.jpg").samefile(first)
    copied = tmp_path / "copied" / "images" / "1000.jpg"
    assert not copied.samefile(first) and copied.read_bytes() == first.read_bytes()


def test_the_split_is_read_from_its_zip(tmp_path: Path) -> None:
    split = json.dumps(flickr()).encode()
    files = {
        "dataset_coco.json": json.dumps(flickr(dataset="coco")).encode(),
        "__MACOSX/dataset_flickr30k.json": b"mac",
        "dataset_flickr30k.json": split,
    }
    images = pictures(tmp_path / "folder")
    archive = zipped(tmp_path / "caption_datasets.zip", files)
    assert make_flickr30k(archive, images, tmp_path / "out")["train"] == 5
    empty = zipped(tmp_path / "empty.zip", {"dataset_coco.json": b"{}"})
    with pytest.raises(RunError, match=r"empty\.zip has no dataset_flickr30k\.json"):
        make_flickr30k(empty, images, tmp_path / "other")
    broken = zipped(tmp_path / "broken.zip", {"dataset_flickr30k.json": split[:-9]})
    with pytest.raises(RunError, match=r"broken\.zip is damaged"):
        make_flickr30k(broken, images, tmp_path / "other")


def test_an_empty_caption_is_left_out(tmp_path: Path) -> None:
    split = flickr()
    split["images"][1]["sentences"][2]["raw"] = "  "
    split["images"][1]["sentences"][3]["raw"] = " told \n"
    karpathy = written(tmp_path / "dataset_flickr30k.json", split)
    out = tmp_path / "out"
    assert make_flickr30k(karpathy, pictures(tmp_path / "folder"), out)["validation"] == 4
    assert "told" in pd.read_parquet(out / "pairs.parquet").caption.tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"filename": "../../up.jpg"}, "image 1: '../../up.jpg' is not the name of a picture"),
        ({"filename": "/etc/hostname"}, "is not the name of a picture"),
        ({"filename": ".."}, "is not the name of a picture"),
        ({"filename": "a;b.jpg"}, "is not the name of a picture"),
        ({"filename": 7}, "is not the name of a picture"),
        ({"filename": "1000.jpg"}, "1000.jpg is there a second time"),
        ({"split": "restval"}, "the split 'restval' is none of train, val, test"),
        ({"sentences": [{"tokens": []}]}, "filename, split and sentences with raw are not there"),
        ({"sentences": None}, "filename, split and sentences with raw are not there"),
        ({"filename": "1009.jpg"}, "lacks 1 of 3 pictures, 1009.jpg among them"),
    ],
)
def test_a_bad_entry_of_the_split_is_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    split = flickr()
    split["images"][1] |= change
    karpathy = written(tmp_path / "dataset_flickr30k.json", split)
    with pytest.raises(RunError) as caught:
        make_flickr30k(karpathy, pictures(tmp_path / "folder"), tmp_path / "out")
    assert said in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_split_of_other_pictures_is_refused(tmp_path: Path) -> None:
    images = pictures(tmp_path / "folder")
    coco = written(tmp_path / "dataset_coco.json", flickr(dataset="coco"))
    with pytest.raises(UsageError, match=r"is the split of coco: give dataset_flickr30k\.json"):
        make_flickr30k(coco, images, tmp_path / "out")
    with pytest.raises(RunError, match="is not a split by Karpathy"):
        make_flickr30k(written(tmp_path / "x.json", []), images, tmp_path / "out")
    with pytest.raises(UsageError, match="nowhere does not exist"):
        make_flickr30k(tmp_path / "nowhere", images, tmp_path / "out")


def test_a_file_that_is_no_picture_is_named(tmp_path: Path, karpathy: Path) -> None:
    folder = pictures(tmp_path / "folder")
    (folder / "flickr30k-images" / "1001.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0")
    with pytest.raises(RunError, match=r"folder: 1001\.jpg cannot be read: no JPEG"):
        make_flickr30k(karpathy, folder, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_script_asks_for_flickrs_pictures(
    tmp_path: Path, karpathy: Path, web: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    main, out = script("get_flickr30k").main, tmp_path / "out"
    assert main(["--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert "https://forms.illinois.edu/sec/229675" in said and said.count("\n") == 1
    archive = pictures(tmp_path / "flickr30k-images.tar.gz")
    asked = ["--out", str(out), "--images", str(archive), "--karpathy", str(karpathy)]
    assert main([*asked, "--checksum", f"sha256:{'0' * 64}"]) == 1
    assert sha256_file(archive) in capsys.readouterr().err
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    assert main([*asked, "--checksum", f"md5:{md5}"]) == 0
    assert capsys.readouterr().out == f"{out}: 5 train, 5 validation, 5 test\n"
    folder = pictures(tmp_path / "folder")
    assert main(["--out", str(tmp_path), "--images", str(folder), "--checksum", "md5:1"]) == 2
    assert main(["--out", str(tmp_path), "--images", str(tmp_path / "nowhere")]) == 2


def test_the_script_fetches_the_split(
    tmp_path: Path, web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = web
    archive = zipped(
        folder / "caption_datasets.zip", {"dataset_flickr30k.json": json.dumps(flickr()).encode()}
    )
    module, out = script("get_flickr30k"), tmp_path / "out"
    here = Source(archive.name, (), f"sha256:{sha256_file(archive)}", archive.stat().st_size)
    monkeypatch.setattr(module, "KARPATHY", here)
    images = pictures(tmp_path / "folder")
    assert module.main(["--out", str(out), "--images", str(images), "--mirror", f"{url}/"]) == 0
    assert (out / "source" / "caption_datasets.zip").read_bytes() == archive.read_bytes()
