"""CIFAR-10 and CIFAR-100, from small files of exactly their published form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support_published import script, tarred

from erasekit.data.published import cifar as cifar_module
from erasekit.data.published.cifar import CIFAR10, CIFAR100, make_cifar
from erasekit.errors import RunError, UsageError
from erasekit.files import sha256_file

FINE = ["aquarium_fish", "bee"]
COARSE = ["fish", "insects"]


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
    return tarred(folder / CIFAR100.source.name, cifar_files(**other))


def test_cifar_becomes_pairs(tmp_path: Path) -> None:
    archive, out = cifar(tmp_path), tmp_path / "out"
    counts = make_cifar(CIFAR100, archive, out)
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
    make_cifar(CIFAR100, archive, out)
    card = (out / "DATASET_CARD.md").read_text(encoding="utf-8")
    assert "of 2 classes in 2 groups" in card
    for line in ("| train | 36 |", "| validation | 4 |", "| test | 6 |"):
        assert line in card
    assert sha256_file(archive) in card and sha256_file(out / "pairs.parquet") in card
    assert "No licence is published" in card


def test_cifars_split_is_the_same_every_time(tmp_path: Path) -> None:
    archive = cifar(tmp_path)
    make_cifar(CIFAR100, archive, tmp_path / "a")
    make_cifar(CIFAR100, archive, tmp_path / "b")
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
    counts = make_cifar(CIFAR100, cifar(tmp_path, train_bin=train.tobytes()), tmp_path / "out")
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


def cifar10_files(names: str = "airplane\nfrog\n\n") -> dict[str, bytes]:
    """Two classes in turn, four records in each of five files, and six to test."""
    content = np.random.default_rng(2).integers(0, 256, (26, 3073), dtype=np.uint8)
    content[:, 0] = np.arange(26) % 2
    files = {f"data_batch_{i + 1}.bin": content[4 * i : 4 * i + 4].tobytes() for i in range(5)}
    files |= {"test_batch.bin": content[20:].tobytes(), "batches.meta.txt": names.encode()}
    return {f"cifar-10-batches-bin/{name}": held for name, held in files.items()}


def test_cifar_10_has_animals_and_vehicles(tmp_path: Path) -> None:
    files, out = cifar10_files(), tmp_path / "out"
    counts = make_cifar(CIFAR10, tarred(tmp_path / CIFAR10.source.name, files), out)
    assert counts == {"train": 18, "validation": 2, "test": 6}
    pairs = pd.read_parquet(out / "pairs.parquet")
    assert set(zip(pairs.caption, pairs.concept, pairs.group, strict=True)) == {
        ("airplane", "airplane", "vehicles"),
        ("frog", "frog", "animals"),
    }
    # The five files follow each other, and the label of each record is its own.
    records = b"".join(files[f"cifar-10-batches-bin/data_batch_{i}.bin"] for i in range(1, 6))
    for path, name in zip(pairs.image[:20], pairs.concept[:20], strict=True):
        record = records[3073 * int(Path(path).stem) :][:3073]
        assert name == ("airplane", "frog")[record[0]]
        with Image.open(out / path) as picture:
            assert np.asarray(picture).transpose(2, 0, 1).tobytes() == record[1:]
    card = (out / "DATASET_CARD.md").read_text(encoding="utf-8")
    assert "Dataset card: CIFAR-10\n" in card and "`data_scripts/get_cifar10.py`" in card
    assert "of 2 classes in 2 groups" in card and "animals or vehicles" in card


def test_a_class_that_cifar_10_does_not_have_is_named(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "c.tar.gz", cifar10_files("airplane\nfrogs\n"))
    with pytest.raises(RunError, match=r"batches\.meta\.txt is damaged: CIFAR-10 has no 'frogs'"):
        make_cifar(CIFAR10, archive, tmp_path / "out")


def test_the_archive_of_the_other_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"lacks some of data_batch_1\.bin.*cifar-10-binary"):
        make_cifar(CIFAR10, cifar(tmp_path), tmp_path / "out")


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
        make_cifar(CIFAR100, cifar(tmp_path, **other), tmp_path / "out")
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
        make_cifar(CIFAR100, archive, tmp_path / "out")
    assert not (tmp_path / "owned").exists()


def test_a_folder_that_is_whole_or_anothers_is_left_alone(tmp_path: Path) -> None:
    archive, out = cifar(tmp_path), tmp_path / "out"
    (out / "images").mkdir(parents=True)
    (out / "images" / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match="out has images already: remove it"):
        make_cifar(CIFAR100, archive, out)
    assert (out / "images" / "mine.jpg").read_bytes() == b"mine"
    make_cifar(CIFAR100, archive, tmp_path / "new")
    with pytest.raises(UsageError, match=r"new has pairs\.parquet already"):
        make_cifar(CIFAR100, archive, tmp_path / "new")


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = cifar(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"package pyarrow: pip install 'erasekit\[data\]'"):
        make_cifar(CIFAR100, archive, tmp_path / "out")


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    archive = cifar(tmp_path)
    monkeypatch.setattr(cifar_module, "_png", full)
    with pytest.raises(RunError, match=r"cannot write .*out: No space left on device"):
        make_cifar(CIFAR100, archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_script_for_cifar_10_makes_its_folder(
    tmp_path: Path, web: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, url = web
    archive, out = tarred(folder / CIFAR10.source.name, cifar10_files()), tmp_path / "out"
    asked = ["--out", str(out), "--mirror", url, "--checksum", f"sha256:{sha256_file(archive)}"]
    assert script("get_cifar10").main(asked) == 0
    assert capsys.readouterr().out == f"{out}: 18 train, 2 validation, 6 test\n"


def test_the_script_fetches_cifar_and_makes_the_folder(
    tmp_path: Path, web: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, url = web
    archive, out = cifar(folder), tmp_path / "out"
    main = script("get_cifar100").main
    asked = ["--out", str(out), "--mirror", url, "--checksum", f"sha256:{sha256_file(archive)}"]
    assert main(asked) == 0
    assert capsys.readouterr().out == f"{out}: 36 train, 4 validation, 6 test\n"
    assert (out / "source" / CIFAR100.source.name).read_bytes() == archive.read_bytes()
    assert main(asked) == 0
    assert "is already complete" in capsys.readouterr().out
    # The archive that is given must be the published one, unless another sum is given.
    local = ["--out", str(tmp_path / "other"), "--archive", str(archive)]
    assert main(local) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "03b5dce01913d631647c71ecec9e9cb8" in said
    assert main([*local, "--checksum", f"sha256:{sha256_file(archive)}"]) == 0
