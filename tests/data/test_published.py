"""CIFAR-100, Flickr30K and Conceptual 12M, from small files of exactly their published form."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
import json
import os
import sys
import tarfile
import threading
import types
import zipfile
from collections import Counter
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from erasekit.data import published
from erasekit.data.published import (
    CC12M,
    CIFAR100,
    Shard,
    fetch_cc12m,
    hub_sums,
    index_cc12m,
    make_cifar100,
    make_flickr30k,
    read_sums,
    shard_urls,
    take_cc12m,
)
from erasekit.errors import RunError, UsageError
from erasekit.files import sha256_file

SCRIPTS = Path(__file__).resolve().parents[2] / "data_scripts"
FINE = ["aquarium_fish", "bee"]
COARSE = ["fish", "insects"]


def jpeg(shade: int, size: tuple[int, int] = (5, 4)) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", size, (shade, 0, 0)).save(held, "JPEG")
    return held.getvalue()


def tarred(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder, and the address that it is served under."""
    folder = tmp_path / "web"
    folder.mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def script(name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# CIFAR-100


def records(each: int, seed: int) -> np.ndarray:
    """Records of two classes in turn, uint8, shape (2 · each, 3074)."""
    content = np.random.default_rng(seed).integers(0, 256, (2 * each, 3074), dtype=np.uint8)
    content[:, 0] = content[:, 1] = np.arange(2 * each) % 2
    return content


TRAIN, TEST = records(20, 0), records(3, 1)


def cifar_files(**other: bytes) -> dict[str, bytes]:
    files = {
        "train.bin": TRAIN.tobytes(),
        "test.bin": TEST.tobytes(),
        "fine_label_names.txt": "\n".join([*FINE, ""]).encode(),
        "coarse_label_names.txt": "\n".join([*COARSE, ""]).encode(),
    } | {name.replace("_bin", ".bin").replace("_txt", ".txt"): v for name, v in other.items()}
    return {f"cifar-100-binary/{name}": content for name, content in files.items()}


def cifar(folder: Path, **other: bytes) -> Path:
    return tarred(folder / CIFAR100.name, cifar_files(**other))


def test_cifar_becomes_pairs(tmp_path: Path) -> None:
    archive, out = cifar(tmp_path), tmp_path / "out"
    counts = make_cifar100(archive, out)
    assert counts == {"train": 36, "validation": 4, "test": 6}
    pairs = pd.read_parquet(out / "pairs.parquet")
    assert list(pairs) == ["image", "caption", "concept", "group", "split"]
    assert pairs["split"].value_counts().to_dict() == counts
    assert set(zip(pairs.caption, pairs.concept, pairs.group, strict=True)) == {
        ("aquarium fish", "aquarium fish", "fish"),
        ("bee", "bee", "insects"),
    }
    # A tenth of each class, of the published training pictures alone.
    held_out = pairs[pairs.split == "validation"]
    assert held_out.concept.value_counts().to_dict() == {"aquarium fish": 2, "bee": 2}
    assert all(path.startswith("images/train/") for path in held_out.image)
    # Every pixel is where it was: red, green, blue planes, row by row.
    for i, path in enumerate(pairs.image):
        part, name, number = Path(path).parts[1:]
        record = (TRAIN if part == "train" else TEST)[int(number.removesuffix(".png"))]
        assert i == int(number.removesuffix(".png")) + (0 if part == "train" else len(TRAIN))
        assert name == FINE[record[1]]
        with Image.open(out / path) as picture:
            assert picture.mode == "RGB" and picture.size == (32, 32)
            planes = np.asarray(picture).transpose(2, 0, 1)
        assert (planes.reshape(-1) == record[2:]).all()
    assert sorted(p.name for p in out.iterdir()) == ["DATASET_CARD.md", "images", "pairs.parquet"]


def test_cifars_card_says_what_is_there(tmp_path: Path) -> None:
    archive, out = cifar(tmp_path), tmp_path / "out"
    make_cifar100(archive, out)
    card = (out / "DATASET_CARD.md").read_text(encoding="utf-8")
    assert "of 2 classes in 2 groups" in card
    for line in ("| train | 36 |", "| validation | 4 |", "| test | 6 |"):
        assert line in card
    assert sha256_file(archive) in card and sha256_file(out / "pairs.parquet") in card
    assert "No licence is published" in card


def test_cifars_split_is_the_same_every_time(tmp_path: Path) -> None:
    archive = cifar(tmp_path)
    make_cifar100(archive, tmp_path / "a")
    make_cifar100(archive, tmp_path / "b")
    first, second = (pd.read_parquet(tmp_path / name / "pairs.parquet") for name in "ab")
    assert first.equals(second)
    # Written down, since nobody could compare across machines otherwise.
    chosen = first[first.split == "validation"].image
    assert [int(Path(path).stem) for path in chosen] == [7, 12, 35, 38]


def test_no_picture_of_cifar_is_in_two_splits(tmp_path: Path) -> None:
    train = TRAIN.copy()
    train[4, 2:] = TEST[0, 2:]
    train[8, 2:] = train[12, 2:]  # 12 is drawn for validation, but 8 comes first
    train[13, 2:] = train[7, 2:]  # 7 is drawn, and 13 follows it
    counts = make_cifar100(cifar(tmp_path, train_bin=train.tobytes()), tmp_path / "out")
    assert counts == {"train": 35, "validation": 4, "test": 6}
    pairs = pd.read_parquet(tmp_path / "out" / "pairs.parquet")
    seen = pairs[pairs.split != "test"]
    splits = {int(Path(i).stem): split for i, split in zip(seen.image, seen.split, strict=True)}
    assert 4 not in splits and splits[8] == splits[12] == "train"
    assert splits[7] == splits[13] == "validation"
    content = [(tmp_path / "out" / image).read_bytes() for image in pairs.image]
    assert pairs.groupby(content).split.nunique().max() == 1
    card = (tmp_path / "out" / "DATASET_CARD.md").read_text(encoding="utf-8")
    assert "pixels of a test picture are left out: 1." in card


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"train_bin": TRAIN.tobytes()[:-1]}, "train.bin is damaged: 122,959 bytes"),
        ({"test_bin": b""}, "test.bin is damaged: 0 bytes"),
        ({"fine_label_names_txt": b"aquarium_fish\n"}, "a label without a name"),
        ({"coarse_label_names_txt": b"fish\n"}, "a label without a name"),
        ({"fine_label_names_txt": b"bee\n../../up\n"}, "not a list of lower-case names"),
        ({"fine_label_names_txt": b"bee\n\xff\n"}, "not a list of lower-case names"),
        ({"coarse_label_names_txt": b""}, "not a list of lower-case names"),
        ({"test_bin": bytes([1, 0, *TEST[0, 2:]])}, "'aquarium_fish' has more than one coarse"),
    ],
)
def test_a_damaged_cifar_is_named_and_leaves_no_table(
    tmp_path: Path, other: dict[str, bytes], said: str
) -> None:
    with pytest.raises(RunError, match=said):
        make_cifar100(cifar(tmp_path, **other), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_version_of_pickles_is_not_read(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "owned",))

    pickled = __import__("pickle").dumps(Bad())
    names = ("train", "test", "meta")
    archive = tarred(
        tmp_path / "cifar-100-python.tar.gz", {f"cifar-100-python/{n}": pickled for n in names}
    )
    with pytest.raises(RunError, match=r"takes the binary version.*pickles, which are not read"):
        make_cifar100(archive, tmp_path / "out")
    assert not (tmp_path / "owned").exists()


def test_a_folder_that_is_whole_or_anothers_is_left_alone(tmp_path: Path) -> None:
    archive, out = cifar(tmp_path), tmp_path / "out"
    (out / "images").mkdir(parents=True)
    (out / "images" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match="out has images already: remove it"):
        make_cifar100(archive, out)
    assert (out / "images" / "mine.jpg").read_bytes() == b"mine"
    make_cifar100(archive, tmp_path / "new")
    with pytest.raises(UsageError, match=r"new has pairs\.parquet already"):
        make_cifar100(archive, tmp_path / "new")


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = cifar(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"package pyarrow: pip install 'erasekit\[data\]'"):
        make_cifar100(archive, tmp_path / "out")


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    archive = cifar(tmp_path)
    monkeypatch.setattr(published, "_png", full)
    with pytest.raises(RunError, match=r"cannot write .*out: No space left on device"):
        make_cifar100(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_script_fetches_cifar_and_makes_the_folder(
    tmp_path: Path, web: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, url = web
    archive, out = cifar(folder), tmp_path / "out"
    main = script("get_cifar100").main
    asked = ["--out", str(out), "--mirror", url, "--checksum", f"sha256:{sha256_file(archive)}"]
    assert main(asked) == 0
    assert capsys.readouterr().out == f"{out}: 36 train, 4 validation, 6 test\n"
    assert (out / "source" / CIFAR100.name).read_bytes() == archive.read_bytes()
    assert main(asked) == 0
    assert "is whole already" in capsys.readouterr().out
    # The archive that is given must be the published one, unless another sum is given.
    local = ["--out", str(tmp_path / "other"), "--archive", str(archive)]
    assert main(local) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "03b5dce01913d631647c71ecec9e9cb8" in said
    assert main([*local, "--checksum", f"sha256:{sha256_file(archive)}"]) == 0


# Flickr30K


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
        ({"filename": "../../up.jpg"}, "image 1: '../../up.jpg' is no name of a picture"),
        ({"filename": "/etc/hostname"}, "is no name of a picture"),
        ({"filename": ".."}, "is no name of a picture"),
        ({"filename": "a;b.jpg"}, "is no name of a picture"),
        ({"filename": 7}, "is no name of a picture"),
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
    with pytest.raises(RunError, match="is no split by Karpathy"):
        make_flickr30k(written(tmp_path / "x.json", []), images, tmp_path / "out")
    with pytest.raises(UsageError, match="nowhere does not exist"):
        make_flickr30k(tmp_path / "nowhere", images, tmp_path / "out")


def test_a_file_that_is_no_picture_is_named(tmp_path: Path, karpathy: Path) -> None:
    folder = pictures(tmp_path / "folder")
    (folder / "flickr30k-images" / "1001.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0")
    with pytest.raises(RunError, match=r"folder: 1001\.jpg is no JPEG"):
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
    here = published.Source(
        archive.name, (), f"sha256:{sha256_file(archive)}", archive.stat().st_size
    )
    monkeypatch.setattr(module, "KARPATHY", here)
    images = pictures(tmp_path / "folder")
    assert module.main(["--out", str(out), "--images", str(images), "--mirror", f"{url}/"]) == 0
    assert (out / "source" / "caption_datasets.zip").read_bytes() == archive.read_bytes()


# Conceptual 12M


def shard(path: Path, pairs: int, first: int = 0, **more: bytes) -> Path:
    files: dict[str, bytes] = {}
    for i in range(first, first + pairs):
        key = f"{i:09}"
        files[f"{key}.jpg"] = jpeg(i)
        files[f"{key}.json"] = json.dumps({"key": key, "status": "success"}).encode()
        files[f"{key}.txt"] = f"caption {i}".encode()
    return tarred(path, files | {k.replace("_", "."): v for k, v in more.items()}, mode="w")


def test_shards_are_listed_as_they_are(tmp_path: Path) -> None:
    shards = [
        shard(tmp_path / "shards" / "cc12m-train-0000.tar", 3),
        shard(tmp_path / "shards" / "cc12m-train-0001.tar", 2, 3, lonely_jpg=jpeg(1)),
    ]
    before = [each.read_bytes() for each in shards]
    found = index_cc12m(tmp_path)
    assert found == tuple(
        Shard(each.name, pairs, each.stat().st_size, sha256_file(each))
        for each, pairs in zip(shards, (3, 2), strict=True)
    )
    assert [each.read_bytes() for each in shards] == before
    listed = pd.read_csv(tmp_path / "shards.csv")
    assert list(listed) == ["shard", "pairs", "bytes", "sha256"]
    assert listed.pairs.tolist() == [3, 2]
    card = (tmp_path / "DATASET_CARD.md").read_text(encoding="utf-8")
    assert f"| 2 | 5 | {sum(map(len, before)):,} |" in card
    assert not (tmp_path / "pairs.parquet").exists()


def test_what_is_listed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shard(tmp_path / "shards" / "0.tar", 1)
    index_cc12m(tmp_path)
    read: list[str] = []
    count = published._count_pairs
    monkeypatch.setattr(published, "_count_pairs", lambda f: read.append(f.name) or count(f))
    shard(tmp_path / "shards" / "1.tar", 1)
    index_cc12m(tmp_path)
    assert read == ["1.tar"]
    shard(first, 9)  # of another size: another shard
    assert [each.pairs for each in index_cc12m(tmp_path)] == [9, 1]
    (tmp_path / "shards.csv").write_text("nonsense")
    assert [each.pairs for each in index_cc12m(tmp_path)] == [9, 1]
    first.unlink()
    assert [each.shard for each in index_cc12m(tmp_path)] == ["1.tar"]
    assert len(pd.read_csv(tmp_path / "shards.csv")) == 1


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.jpg": jpeg(1)}, "has no pairs of KEY.jpg and KEY.txt"),
        ({"a.jpg": jpeg(1), "b.txt": b"told"}, "has no pairs of KEY.jpg and KEY.txt"),
        ({"a.jpg": b"<html>", "a.txt": b"told"}, "a.jpg is no JPEG"),
        ({"a.jpg": jpeg(1), "a.txt": b"\xff\xfe"}, "is damaged: 'utf-8' codec"),
    ],
)
def test_a_shard_of_another_kind_is_named(
    tmp_path: Path, files: dict[str, bytes], said: str
) -> None:
    file = tarred(tmp_path / "shards" / "0.tar", files, mode="w")
    with pytest.raises(RunError, match=said) as caught:
        index_cc12m(tmp_path)
    assert str(caught.value).startswith(str(file))


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    file = shard(tmp_path / "shards" / "0.tar", 2)
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.index(b"000000001.txt")])  # just before a file in it
    with pytest.raises(RunError, match=r"0\.tar is damaged: .*Remove it to fetch it anew"):
        index_cc12m(tmp_path)
    file.write_text("<html>please log in</html>")
    with pytest.raises(RunError, match=r"0\.tar is damaged"):
        index_cc12m(tmp_path)


def test_no_shards_are_no_index(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no shards"):
        index_cc12m(tmp_path)
    with pytest.raises(UsageError, match="has no shards"):
        take_cc12m(tmp_path, tmp_path / "out")
    with pytest.raises(UsageError, match="is not a folder of shards"):
        take_cc12m(tmp_path / "nowhere", tmp_path / "out")


def test_shards_are_fetched_listed_and_gone_on_with(
    tmp_path: Path, web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = web
    files = [shard(folder / f"cc12m-train-000{i}.tar", i + 1) for i in range(3)]
    sums = {f.name: (f"sha256:{sha256_file(f)}", f.stat().st_size) for f in files}
    pattern, out = f"{url}/cc12m-train-{{0000..0002}}.tar", tmp_path / "out"
    assert [each.pairs for each in fetch_cc12m(pattern, out, sums=sums, most=2)] == [1, 2]
    fetched: list[str] = []
    get = published.download

    def noted(urls: list[str], path: Path, **how: Any) -> Path:
        fetched.append(path.name)
        return get(urls, path, **how)

    monkeypatch.setattr(published, "download", noted)
    assert [each.pairs for each in fetch_cc12m(pattern, out, sums=sums)] == [1, 2, 3]
    assert fetched == ["cc12m-train-0002.tar"]
    assert [each.pairs for each in fetch_cc12m(pattern, out, sums=sums)] == [1, 2, 3]
    assert len(fetched) == 1
    for file in files:
        assert (out / "shards" / file.name).read_bytes() == file.read_bytes()


def test_what_came_before_a_missing_shard_stays(tmp_path: Path, web: tuple[Path, str]) -> None:
    folder, url = web
    shard(folder / "0.tar", 2)
    with pytest.raises(RunError, match=r"cannot fetch 1\.tar: .*404 Not Found"):
        fetch_cc12m(f"{url}/{{0..1}}.tar", tmp_path / "out")
    assert [each.pairs for each in index_cc12m(tmp_path / "out")] == [2]
    with pytest.raises(UsageError, match=r"there is no checksum of 0\.tar"):
        fetch_cc12m(f"{url}/{{0..1}}.tar", tmp_path / "out", sums={"x.tar": ("md5:0", 1)})


def test_a_pattern_is_spelled_out() -> None:
    assert len(shard_urls(CC12M)) == 2176
    assert shard_urls(CC12M)[-1].endswith("/cc12m-train-2175.tar")
    assert shard_urls("http://h/{8..10}.tar") == [f"http://h/{i}.tar" for i in (8, 9, 10)]
    assert shard_urls("http://h/{0..1}-{00..01}.tar")[1] == "http://h/0-01.tar"
    assert shard_urls("http://h/a.tar?download=true") == ["http://h/a.tar?download=true"]
    for pattern, said in [
        ("http://h/{2..1}.tar", "runs backwards"),
        ("http://h/{0..1}/a.tar", "gives two shards one name"),
        ("http://h/", "is no address of a shard"),
        ("http://h/..%2Fup.tar%00", "is no address of a shard"),
        ("http://h/a b.tar", "is no address of a shard"),
    ]:
        with pytest.raises(UsageError, match=said):
            shard_urls(pattern)
    with pytest.raises(UsageError, match="take one shard at least"):
        fetch_cc12m(CC12M, Path("nowhere"), most=0)


def test_the_hubs_own_checksums_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import huggingface_hub

    lfs = types.SimpleNamespace(sha256="a" * 64, size=7)
    tree = [
        types.SimpleNamespace(path="cc12m-train-0000.tar", lfs=lfs),
        types.SimpleNamespace(path="README.md", lfs=None),
        types.SimpleNamespace(path="folder"),
    ]

    def list_repo_tree(self: Any, repository: str, **how: str) -> list[Any]:
        assert (repository, how) == (
            "pixparse/cc12m-wds",
            {"repo_type": "dataset", "revision": "main"},
        )
        return tree

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_tree", list_repo_tree)
    assert hub_sums(CC12M) == {"cc12m-train-0000.tar": (f"sha256:{'a' * 64}", 7)}
    assert hub_sums("https://mirror.example/{0..1}.tar") == {}

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("no way out\nand more")

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_tree", offline)
    assert hub_sums(CC12M) == {}
    said = capsys.readouterr().err
    assert said == "note: pixparse/cc12m-wds does not tell its checksums: no way out\n"


def test_a_list_of_checksums_is_read(tmp_path: Path) -> None:
    file = tmp_path / "SHA256SUMS"
    file.write_text(f"{'a' * 64}  0.tar\n\n{'B' * 64} *./folder/1.tar\n")
    assert read_sums(file) == {
        "0.tar": (f"sha256:{'a' * 64}", None),
        "1.tar": (f"sha256:{'b' * 64}", None),
    }
    file.write_text(f"{'a' * 64}  0.tar\nwrong\n")
    with pytest.raises(UsageError, match="line 2: write 64 hexadecimal digits"):
        read_sums(file)
    with pytest.raises(UsageError, match="cannot read the checksums"):
        read_sums(tmp_path / "nowhere")


def test_the_script_takes_shards_from_a_server_or_a_folder(
    tmp_path: Path, web: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, url = web
    files = [shard(folder / f"{i}.tar", 2) for i in range(2)]
    sums = tmp_path / "SHA256SUMS"
    sums.write_text("".join(f"{sha256_file(f)}  {f.name}\n" for f in files))
    main, out = script("get_cc12m").main, tmp_path / "out"
    pattern = f"{url}/elsewhere/{{0..1}}.tar"
    asked = ["--out", str(out), "--shards", pattern, "--mirror", url, "--checksums", str(sums)]
    assert main([*asked, "--most", "1"]) == 0
    assert capsys.readouterr().out == f"{out}: 1 shards, 2 pairs\n"
    assert main(asked) == 0
    assert capsys.readouterr().out == f"{out}: 2 shards, 4 pairs\n"
    taken = tmp_path / "taken"
    assert main(["--out", str(taken), "--shards", str(folder)]) == 0
    assert (taken / "shards" / "1.tar").samefile(files[1])
    assert main(["--out", str(taken), "--shards", str(taken / "shards")]) == 0
    assert main(["--out", str(taken), "--shards", str(folder), "--mirror", url]) == 2
    assert "go with an address" in capsys.readouterr().err


# All of them


@pytest.mark.parametrize("name", ["get_cifar100", "get_flickr30k", "get_cc12m"])
def test_help_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        script(name).main(["--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert f"python data_scripts/{name}.py --out data/" in said
    assert "Exit code 0" in said and "--mirror URL" in said and "erasekit[data]" in said


@pytest.mark.parametrize("name", ["get_cifar100", "get_flickr30k", "get_cc12m"])
def test_ctrl_c_is_one_line(
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = script(name)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for function in ("fetch", "hub_sums"):
        monkeypatch.setattr(module, function, interrupt, raising=False)
    pictures(tmp_path / "folder")
    given = ["--images", str(tmp_path / "folder")] if name == "get_flickr30k" else []
    assert module.main(["--out", str(tmp_path / "out"), *given]) == 130
    assert capsys.readouterr().err == "interrupted: the same command, given again, goes on\n"
