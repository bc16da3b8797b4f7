"""CIFAR-100, Flickr30K and Conceptual 12M: from their published files to one folder format.

CIFAR-100 and Flickr30K become ``pairs.parquet`` with the columns ``image`` (a path from the folder,
with forward slashes), ``caption``, ``split`` (train, validation, test) and, for CIFAR-100,
``concept`` and ``group``; the pictures lie beside it in ``images/``. Conceptual 12M stays in its
webdataset shards, ``shards/*.tar`` with ``KEY.jpg``, ``KEY.txt`` and ``KEY.json``, listed in
``shards.csv``. Each folder explains itself in ``DATASET_CARD.md``. The table is written last:
a folder without it is not whole.

Nothing comes with erasekit. Formats as published:

- CIFAR-100, binary version: records of 3,074 bytes, which are the coarse label, the fine label, and
  1,024 bytes each of red, green and blue, row by row; names in two text files. The version for
  Python is pickles, which run whatever is in them: it is not read.
- Flickr30K by Karpathy's split: ``images`` of ``dataset_flickr30k.json``, each with ``filename``,
  ``split`` and ``sentences``, of which ``raw`` is the caption.
- Conceptual 12M: addresses and captions alone are Google's to publish. Others have fetched the
  pictures with img2dataset, which writes the shards.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from PIL import Image

from erasekit.data.archives import check_end, unpack, whole_folder
from erasekit.data.download import download
from erasekit.errors import ErasekitError, RunError, UsageError
from erasekit.files import read_json, sha256_file, write_bytes, write_text, write_whole
from erasekit.progress import progress_bar

#: The table of pairs, the pictures beside it, and what explains them.
PAIRS, IMAGES, CARD = "pairs.parquet", "images", "DATASET_CARD.md"
#: The shards of Conceptual 12M, and their list.
SHARDS, INDEX = "shards", "shards.csv"
#: What the parts of a published data set are called in the table.
SPLITS = ("train", "validation", "test")
#: Decides which tenth of CIFAR-100's published training pictures is validation.
SEED = 0
#: Where the pictures of Flickr30K are asked for.
FLICKR30K_FORM = "https://forms.illinois.edu/sec/229675"
#: Conceptual 12M as Hugging Face's pixparse fetched it in 2023.
CC12M = (
    "https://huggingface.co/datasets/pixparse/cc12m-wds/resolve/main/cc12m-train-{0000..2175}.tar"
)

_PIXELS = 3 * 32 * 32
_RECORD = 2 + _PIXELS
_KARPATHY_JSON = "dataset_flickr30k.json"
_KARPATHY_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_MOST_JSON = 1 << 30
# Formats that PIL decodes by itself; others, such as EPS, start further programs.
_FORMATS = ("JPEG", "PNG", "WEBP")


@dataclass(frozen=True)
class Source:
    """A published file: its name, where it lies, and how it is recognised."""

    name: str
    urls: tuple[str, ...]
    checksum: str
    size: int


#: The sum is the publisher's own.
CIFAR100 = Source(
    "cifar-100-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
    "md5:03b5dce01913d631647c71ecec9e9cb8",
    168_513_733,
)
#: The publisher gives no sum: this one is recorded by TensorFlow Datasets.
KARPATHY = Source(
    "caption_datasets.zip",
    ("https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",),
    "sha256:4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817",
    36_745_453,
)


def fetch(
    source: Source,
    folder: Path,
    *,
    mirrors: Sequence[str] = (),
    checksum: str | None = None,
    progress: bool = True,
) -> Path:
    """Bring a published file into a folder.

    Args:
        source: what to fetch.
        folder: where to put it, under its published name.
        mirrors: places to ask before the known ones: a folder's address or the file's.
        checksum: instead of the known one, where another version is wanted.
        progress: whether to show a bar.

    Raises:
        UsageError, RunError: as `erasekit.data.download.download`.
    """
    return download(
        [*_at(mirrors, source.name), *source.urls],
        Path(folder) / source.name,
        checksum=checksum or source.checksum,
        size=None if checksum else source.size,
        progress=progress,
    )


def _at(mirrors: Sequence[str], name: str) -> list[str]:
    return [m if m.endswith(f"/{name}") else f"{m.rstrip('/')}/{name}" for m in mirrors]


# CIFAR-100


def make_cifar100(archive: Path, out: Path, *, progress: bool = True) -> dict[str, int]:
    """A folder of pairs from CIFAR-100's binary version.

    A picture is a PNG of 32 × 32 pixels. Its caption and concept are the fine label, its group is
    the coarse label, both with spaces for underscores. The published test pictures are ``test``;
    of the published training pictures a tenth of each class, drawn by `SEED`, is ``validation``.
    One with the very pixels of a test picture is left out; copies of another go where it goes.

    Args:
        archive: ``cifar-100-binary.tar.gz``.
        out: the folder to fill.
        progress: whether to show bars.

    Returns:
        The number of pairs in each split.

    Raises:
        UsageError: when `out` holds pairs or pictures already; without the package pyarrow.
        RunError: when the archive is damaged or another one; when `out` cannot be written.
    """
    with _writing(out), tempfile.TemporaryDirectory(dir=out, prefix=".unpacked.") as aside:
        published = _cifar_folder(archive, unpack(archive, Path(aside) / "all", progress=progress))
        fine = _label_names(published / "fine_label_names.txt")
        coarse = _label_names(published / "coarse_label_names.txt")
        parts = {
            part: _cifar_records(published / f"{part}.bin", len(coarse), len(fine))
            for part in ("train", "test")
        }
        _check_one_group(archive, np.concatenate([each[:, :2] for each in parts.values()]), fine)
        rows = []
        total = sum(map(len, parts.values()))
        with (
            whole_folder(out / IMAGES) as images,
            progress_bar("CIFAR-100", "picture", total, show=progress) as bar,
        ):
            for part, records in parts.items():
                splits = _cifar_splits(parts, fine) if part == "train" else ["test"] * len(records)
                for i, (record, split) in enumerate(zip(records, splits, strict=True)):
                    bar.update()
                    if split is None:
                        continue
                    name, group = fine[record[1]], coarse[record[0]]
                    path = f"{part}/{name}/{i:05}.png"
                    (images / path).parent.mkdir(parents=True, exist_ok=True)
                    (images / path).write_bytes(_png(record[2:]))
                    rows.append((f"{IMAGES}/{path}", _words(name), _words(group), split))
        counts = _counts(split for *_, split in rows)
        card = _CIFAR_CARD.format(
            rows=_table("pairs", [counts]),
            classes=len(fine),
            groups=len(coarse),
            seed=SEED,
            twice=total - len(rows),
            source=_source_line(archive),
            version=version("erasekit"),
        )
        table = [(image, concept, concept, group, split) for image, concept, group, split in rows]
        _finish(out, ("image", "caption", "concept", "group", "split"), table, card)
    return counts


def _cifar_folder(archive: Path, unpacked: Path) -> Path:
    found = [each.parent for each in sorted(unpacked.rglob("train.bin"))]
    wanted = ("train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt")
    if not found or not all((found[0] / name).is_file() for name in wanted):
        raise RunError(
            f"{archive} lacks some of {', '.join(wanted)}: it takes the binary version, "
            f"{CIFAR100.name}. The one for Python is pickles, which are not read: they run code"
        )
    return found[0]


def _label_names(file: Path) -> tuple[str, ...]:
    """A published list of labels; names that are no plain words would become paths."""
    names = tuple(file.read_text(encoding="ascii", errors="replace").split())
    if not names or not all(re.fullmatch(r"[a-z0-9_]+", name) for name in names):
        raise RunError(f"{file.name} is damaged: it is not a list of lower-case names")
    return names


def _cifar_records(file: Path, coarse: int, fine: int) -> np.ndarray:
    """All records of a file, uint8, shape (n, 3074)."""
    content = np.fromfile(file, dtype=np.uint8)
    if not content.size or content.size % _RECORD:
        raise RunError(
            f"{file.name} is damaged: {content.size:,} bytes are not records of {_RECORD:,} bytes"
        )
    records = content.reshape(-1, _RECORD)
    if records[:, 0].max() >= coarse or records[:, 1].max() >= fine:
        raise RunError(f"{file.name} is damaged: it has a label without a name")
    return records


def _check_one_group(archive: Path, labels: np.ndarray, fine: Sequence[str]) -> None:
    for label, name in enumerate(fine):
        if len(set(labels[labels[:, 1] == label, 0].tolist())) > 1:
            raise RunError(f"{archive} is damaged: '{name}' has more than one coarse label")


def _cifar_splits(parts: Mapping[str, np.ndarray], names: Sequence[str]) -> list[str | None]:
    """Where each published training picture goes; None for one that is a test picture too.

    A picture in two splits would be a member that was never seen, or the other way round.
    """
    tested = {_hash(record[2:].tobytes()) for record in parts["test"]}
    held_out = _tenth(parts["train"][:, 1], names)
    told: dict[str, str] = {}
    splits: list[str | None] = []
    for i, record in enumerate(parts["train"]):
        pixels = _hash(record[2:].tobytes())
        split = told.setdefault(pixels, "validation" if i in held_out else "train")
        splits.append(None if pixels in tested else split)
    return splits


def _tenth(labels: np.ndarray, names: Sequence[str]) -> frozenset[int]:
    """Positions of a tenth of each class, the same ones with any version of any library."""
    chosen: set[int] = set()
    for label, name in enumerate(names):
        of_class = np.flatnonzero(labels == label).tolist()
        drawn = sorted(of_class, key=lambda i: _hash(f"{SEED} {name} {i}".encode()))
        chosen.update(drawn[: len(drawn) // 10])
    return frozenset(chosen)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _words(label: str) -> str:
    return label.replace("_", " ")


def _png(pixels: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels.reshape(3, 32, 32).transpose(1, 2, 0)).save(held, "PNG")
    return held.getvalue()


# Flickr30K


def make_flickr30k(
    karpathy: Path, images: Path, out: Path, *, progress: bool = True
) -> dict[str, int]:
    """A folder of pairs from Flickr30K: a row a caption, split by picture as Karpathy did.

    Pictures are linked where the disk allows it, so that a folder of them is not held twice.

    Args:
        karpathy: ``dataset_flickr30k.json``, or ``caption_datasets.zip`` with it inside.
        images: the pictures, as an archive or as a folder; what lies in further folders counts.
        out: the folder to fill.
        progress: whether to show bars.

    Returns:
        The number of pairs in each split.

    Raises:
        UsageError: when `out` holds pairs or pictures already, when what is given is not there, or
            the split is of other pictures; without the package pyarrow.
        RunError: when a file is damaged or a picture is missing; when `out` cannot be written.
    """
    for given in (karpathy, images):
        if not Path(given).exists():
            raise UsageError(f"{given} does not exist")
    with _writing(out):
        told = _karpathy(karpathy)
        if Path(images).is_dir():
            _take_pictures(Path(images), told, out, progress)
        else:
            with tempfile.TemporaryDirectory(dir=out, prefix=".unpacked.") as aside:
                unpacked = unpack(images, Path(aside) / "all", progress=progress)
                _take_pictures(unpacked, told, out, progress, named=images)
        rows = [
            (f"{IMAGES}/{name}", caption, split)
            for name, split, captions in told
            for caption in captions
        ]
        counts = _counts(split for *_, split in rows)
        pictures = _counts(split for _, split, _ in told)
        given = "a folder of pictures" if Path(images).is_dir() else _source_line(images)
        card = _FLICKR_CARD.format(
            rows=_table("pictures | captions", [pictures, counts]),
            karpathy=_source_line(karpathy),
            images=given,
            version=version("erasekit"),
        )
        _finish(out, ("image", "caption", "split"), rows, card)
    return counts


def _karpathy(path: Path) -> list[tuple[str, str, list[str]]]:
    """Name, split and captions of each picture."""
    content = _zipped_json(path) if zipfile.is_zipfile(path) else read_json(path)
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise RunError(f"{path} is no split by Karpathy: it has no list 'images'")
    if content.get("dataset", "flickr30k") != "flickr30k":
        raise UsageError(f"{path} is the split of {content['dataset']}: give {_KARPATHY_JSON}")
    told: dict[str, tuple[str, str, list[str]]] = {}
    for i, entry in enumerate(entries):
        place = f"{path}, image {i}"
        try:
            name, split = entry["filename"], entry["split"]
            captions = [sentence["raw"].strip() for sentence in entry["sentences"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(
                f"{place}: filename, split and sentences with raw are not there"
            ) from error
        if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
            raise RunError(f"{place}: {name!r} is no name of a picture")
        if split not in _KARPATHY_SPLITS:
            raise RunError(f"{place}: the split {split!r} is none of {', '.join(_KARPATHY_SPLITS)}")
        if name in told:
            raise RunError(f"{place}: {name} is there a second time")
        told[name] = name, _KARPATHY_SPLITS[split], [each for each in captions if each]
    return list(told.values())


def _zipped_json(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                there = PurePosixPath(member.filename)
                if there.name != _KARPATHY_JSON or "__MACOSX" in there.parts:
                    continue
                if member.file_size > _MOST_JSON:
                    raise RunError(f"{path}: {there} is larger than {_MOST_JSON:,} bytes")
                return json.loads(archive.read(member))
    except ErasekitError:
        raise
    except Exception as error:  # of many kinds, where bytes are damaged
        raise RunError(f"{path} is damaged: {error}") from error
    raise RunError(f"{path} has no {_KARPATHY_JSON}")


def _take_pictures(
    folder: Path,
    told: Sequence[tuple[str, str, list[str]]],
    out: Path,
    progress: bool,
    *,
    named: Path | None = None,
) -> None:
    """Put the pictures that the split names into `out`; `named` is what the user gave."""
    found = {each.name: each for each in sorted(folder.rglob("*")) if each.is_file()}
    missing = [name for name, *_ in told if name not in found]
    if missing:
        raise RunError(
            f"{named or folder} lacks {len(missing):,} of {len(told):,} pictures, {missing[0]} "
            "among them: give all of flickr30k-images"
        )
    with (
        whole_folder(out / IMAGES) as images,
        progress_bar("Flickr30K", "picture", len(told), show=progress) as bar,
    ):
        for name, *_ in told:
            _check_picture(found[name], f"{named or folder}: {name}")
            _link_or_copy(found[name], images / name)
            bar.update()


def _check_picture(picture: Any, place: str) -> None:
    """Read a picture's header, so that a file of another kind is found now."""
    try:
        with Image.open(picture, formats=_FORMATS):
            pass
    except Exception as error:  # an unknown kind, a broken header, more pixels than PIL allows
        raise RunError(f"{place} is no JPEG, PNG or WebP picture, or damaged") from error


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one without links
        write_whole(target, lambda aside: _copy(source, aside))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


# Conceptual 12M


@dataclass(frozen=True)
class Shard:
    """A shard: its name, how many pairs are in it, its size and SHA-256."""

    shard: str
    pairs: int
    bytes: int
    sha256: str


def fetch_cc12m(
    pattern: str,
    out: Path,
    *,
    mirrors: Sequence[str] = (),
    sums: Mapping[str, tuple[str, int | None]] | None = None,
    most: int | None = None,
    progress: bool = True,
) -> tuple[Shard, ...]:
    """Fetch shards one after another, each listed as soon as it is there.

    Called again, it goes on: shards that the list knows, of the size that it says, are left alone.

    Args:
        pattern: the shards' address, with a range of numbers as ``{0000..2175}``.
        out: the folder to fill.
        mirrors: addresses of folders to ask first.
        sums: each shard's checksum (``sha256:HEX``) and size; see `hub_sums` and `read_sums`.
        most: fetch the first so many shards only.
        progress: whether to show bars.

    Raises:
        UsageError: for a pattern or a number that cannot be.
        RunError: when a shard cannot be had or is damaged. What came before it stays.
    """
    urls = _first(shard_urls(pattern), most)
    listed: tuple[Shard, ...] = ()
    with progress_bar("shards", "shard", len(urls), show=progress) as bar:
        for url in urls:
            name = _shard_name(url)
            if sums and name not in sums:
                raise UsageError(f"there is no checksum of {name} among those of the others")
            if not _is_there(out, _read_index(out).get(name)):
                checksum, size = (sums or {}).get(name, (None, None))
                download(
                    [*_at(mirrors, name), url],
                    out / SHARDS / name,
                    checksum=checksum,
                    size=size,
                    progress=progress,
                )
                listed = index_cc12m(out, progress=False)
            bar.update()
    return listed or index_cc12m(out, progress=progress)


def take_cc12m(
    folder: Path, out: Path, *, most: int | None = None, progress: bool = True
) -> tuple[Shard, ...]:
    """Take shards that are here already, linked where the disk allows it, and list them.

    Raises:
        UsageError: when the folder has no shards.
        RunError: when a shard is damaged, or cannot be taken.
    """
    if not Path(folder).is_dir():
        raise UsageError(f"{folder} is not a folder of shards, and no address either")
    files = _first(sorted(Path(folder).glob("*.tar")), most)
    if not files:
        raise UsageError(f"{folder} has no shards: they are called *.tar")
    with _writing(out, new=False):
        (out / SHARDS).mkdir(exist_ok=True)
        for file in files:
            if not (out / SHARDS / file.name).exists():
                _link_or_copy(file, out / SHARDS / file.name)
    return index_cc12m(out, progress=progress)


def index_cc12m(out: Path, *, progress: bool = True) -> tuple[Shard, ...]:
    """List the shards in ``out/shards`` and write ``shards.csv`` and the card.

    A shard is read through once: its pairs are counted, the first of them is opened. Those that
    are listed already with the size that they have are not read again.

    Raises:
        UsageError: when there are no shards.
        RunError: when a shard is damaged or has no pairs; when the list cannot be written.
    """
    files = sorted((out / SHARDS).glob("*.tar"))
    if not files:
        raise UsageError(f"{out / SHARDS} has no shards: they are called *.tar")
    listed = {name: each for name, each in _read_index(out).items() if _is_there(out, each)}
    with _writing(out, new=False), progress_bar(INDEX, "shard", len(files), show=progress) as bar:
        for file in files:
            if file.name not in listed:
                pairs = _count_pairs(file)
                size = file.stat().st_size
                listed[file.name] = Shard(file.name, pairs, size, sha256_file(file))
                # At once, since a list of thousands of shards takes an hour.
                _write_index(out, listed)
            bar.update()
        _write_index(out, listed)
        card = _CC12M_CARD.format(
            shards=len(listed),
            pairs=sum(each.pairs for each in listed.values()),
            bytes=sum(each.bytes for each in listed.values()),
            version=version("erasekit"),
        )
        write_text(out / CARD, card)
    return tuple(listed[file.name] for file in files)


def _write_index(out: Path, listed: Mapping[str, Shard]) -> None:
    told = io.StringIO()
    table = csv.DictWriter(told, ["shard", "pairs", "bytes", "sha256"], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(listed[name]) for name in sorted(listed))
    write_text(out / INDEX, told.getvalue())


def _read_index(out: Path) -> dict[str, Shard]:
    """The list of shards; empty where there is none, or none that can be read."""
    try:
        rows = csv.DictReader(io.StringIO((out / INDEX).read_text(encoding="utf-8")))
        shards = [Shard(r["shard"], int(r["pairs"]), int(r["bytes"]), r["sha256"]) for r in rows]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}
    return {each.shard: each for each in shards}


def _is_there(out: Path, shard: Shard | None) -> bool:
    """Whether a listed shard lies there with the size that the list says."""
    if shard is None:
        return False
    file = out / SHARDS / shard.shard
    return file.is_file() and file.stat().st_size == shard.bytes


def _count_pairs(file: Path) -> int:
    """How many keys of a shard have a picture and a caption."""
    members: dict[str, dict[str, tarfile.TarInfo]] = {}
    try:
        with file.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:") as opened:
            for member in opened:
                there = PurePosixPath(member.name)
                key, _, kind = there.name.partition(".")
                if member.isfile():
                    members.setdefault(f"{there.parent}/{key}", {})[kind] = member
            pairs = [each for each in members.values() if {"jpg", "txt"} <= each.keys()]
            if not pairs:
                raise RunError(f"{file} has no pairs of KEY.jpg and KEY.txt: it is no such shard")
            picture, caption = (opened.extractfile(pairs[0][kind]) for kind in ("jpg", "txt"))
            assert picture is not None and caption is not None  # both are plain files
            _check_picture(picture, f"{file}: {pairs[0]['jpg'].name}")
            caption.read().decode("utf-8")
            check_end(raw)
    except ErasekitError:
        raise
    except Exception as error:  # of many kinds, where bytes are damaged
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise RunError(f"{file} is damaged: {said}. Remove it to fetch it anew") from error
    return len(pairs)


def shard_urls(pattern: str) -> list[str]:
    """The addresses that a pattern stands for, such as ``https://.../{0000..2175}.tar``.

    Raises:
        UsageError: when a range runs backwards, or two shards would have one name.
    """
    found = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if found is None:
        _shard_name(pattern)
        return [pattern]
    first, last = found[1], found[2]
    if int(first) > int(last):
        raise UsageError(f"{found[0]} runs backwards: write {{{last}..{first}}}")
    numbers = [f"{i:0{len(first)}}" for i in range(int(first), int(last) + 1)]
    urls = [
        url
        for number in numbers
        for url in shard_urls(pattern[: found.start()] + number + pattern[found.end() :])
    ]
    if len({_shard_name(url) for url in urls}) < len(urls):
        raise UsageError(f"'{pattern}' gives two shards one name: put the range into the name")
    return urls


def _shard_name(url: str) -> str:
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    if not re.fullmatch(r"\w[\w.-]*\.tar", name):
        raise UsageError(f"'{url}' is no address of a shard: it ends with NAME.tar")
    return name


def _first(shards: list[Any], most: int | None) -> list[Any]:
    if most is not None and most < 1:
        raise UsageError(f"most = {most}: take one shard at least")
    return shards[:most]


def read_sums(file: Path) -> dict[str, tuple[str, int | None]]:
    """Checksums by name, from a list as the program ``sha256sum`` writes it.

    Raises:
        UsageError: when it is missing, or a line is of another form.
    """
    sums: dict[str, tuple[str, int | None]] = {}
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the checksums {file}: {error}") from error
    for number, line in enumerate(filter(str.strip, lines), 1):
        found = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line.strip())
        if found is None:
            raise UsageError(f"{file}, line {number}: write 64 hexadecimal digits and a name")
        sums[PurePosixPath(found[2]).name] = f"sha256:{found[1].lower()}", None
    return sums


def hub_sums(pattern: str) -> dict[str, tuple[str, int | None]]:
    """Checksum and size of each shard as the Hugging Face hub lists them; empty elsewhere.

    Without the list, shards are fetched all the same, their length alone being checked: a line
    on standard error says so.
    """
    found = re.match(r"https://huggingface\.co/datasets/([^/]+/[^/]+)/resolve/([^/]+)/", pattern)
    if found is None:
        return {}
    try:
        from huggingface_hub import HfApi

        tree = HfApi().list_repo_tree(found[1], repo_type="dataset", revision=found[2])
        return {
            PurePosixPath(each.path).name: (f"sha256:{lfs.sha256}", lfs.size)
            for each in tree
            if (lfs := getattr(each, "lfs", None)) is not None
        }
    except Exception as error:  # no network, no such data set: of many kinds
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        print(f"note: {found[1]} does not tell its checksums: {said}", file=sys.stderr)
        return {}


# All of them


@contextlib.contextmanager
def _writing(out: Path, *, new: bool = True) -> Iterator[None]:
    """Make the folder, and turn what the disk says into an error for a person."""
    if new:
        _pyarrow()
        for name in (PAIRS, IMAGES):
            if (out / name).exists():
                raise UsageError(f"{out} has {name} already: remove it, or give another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror or error}") from error


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            "the table of pairs takes the package pyarrow: pip install 'erasekit[data]'"
        ) from error
    return pyarrow, parquet


def _counts(splits: Iterator[str]) -> dict[str, int]:
    counted = Counter(splits)
    return {split: counted[split] for split in SPLITS}


def _table(heads: str, columns: Sequence[Mapping[str, int]]) -> str:
    """Counts by split, as a table of the card."""
    lines = [f"| split | {heads} |", "| --- |" + " --- |" * len(columns)]
    for split in SPLITS:
        lines.append(f"| {split} | " + " | ".join(f"{each[split]:,}" for each in columns) + " |")
    return "\n".join(lines)


def _source_line(file: Path) -> str:
    return f"`{Path(file).name}`, SHA-256 `{sha256_file(file)}`"


def _finish(out: Path, names: Sequence[str], rows: Sequence[Sequence[str]], card: str) -> None:
    """Write the card and then the table, which says that the folder is whole."""
    pyarrow, parquet = _pyarrow()
    columns = zip(*rows, strict=True)
    held = io.BytesIO()
    table = {
        name: pyarrow.array(values, pyarrow.string())
        for name, values in zip(names, columns, strict=True)
    }
    parquet.write_table(pyarrow.table(table), held)
    content = held.getvalue()
    table_sum = hashlib.sha256(content).hexdigest()
    write_text(out / CARD, f"{card}- `{PAIRS}`: SHA-256 `{table_sum}`\n")
    write_bytes(out / PAIRS, content)


_CIFAR_CARD = """# Dataset card: CIFAR-100

Photographs of 32 × 32 pixels with one thing each, of {classes} classes in {groups} groups. The
caption of a picture is the bare name of its class.

{rows}

## Source and terms

CIFAR-100 by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton, University of Toronto:
<https://www.cs.toronto.edu/~kriz/cifar.html>. No licence is published with it. Its authors ask to
cite: Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The rights in
the pictures are those of their makers, who are not named.

## How it was made

By `data_scripts/get_cifar100.py` of erasekit {version}, from the binary version. Pixels are as
published, in PNG files by published part, class and place in the file. `concept` is the fine label
and `group` the coarse one, with spaces for underscores. The published test pictures are `test`; of
the published training pictures a tenth of each class, drawn with seed {seed}, is `validation`.
Training pictures with the very pixels of a test picture are left out: {twice}. Copies within
the training pictures are in one split.

## Limits

The pictures come from the "80 million tiny images", which their collectors took back in 2020 since
it holds offensive labels and pictures; CIFAR-100's own labels were given by hand. Some
pictures are nearly the same as others, across the splits too.

## Checksums

- {source}
"""

_FLICKR_CARD = """# Dataset card: Flickr30K

Photographs of everyday doings, mostly of people, each described by several people in a sentence.
A row is a caption; the captions of a picture are all in one split.

{rows}

## Source and terms

Pictures and captions: Peter Young, Alice Lai, Micah Hodosh and Julia Hockenmaier, "From image
descriptions to visual denotations", TACL 2014, <https://shannon.cs.illinois.edu/DenotationGraph/>.
The pictures are given out on request, for research and teaching that earn nothing, and fall under
Flickr's terms of use; the rights in them are their photographers'. Do not pass them on.

Split: Andrej Karpathy and Li Fei-Fei, "Deep Visual-Semantic Alignments for Generating Image
Descriptions", CVPR 2015, <https://cs.stanford.edu/people/karpathy/deepimagesent/>.

## How it was made

By `data_scripts/get_flickr30k.py` of erasekit {version}. The pictures are the published files.
Captions are the published sentences as they were written, without blanks at their ends; an empty
one is left out. `validation` is what Karpathy calls val.

## Limits

People are shown who were not asked. Captions guess at what cannot be seen, such as kinship, origin
and mood, and guess as their writers' surroundings do.

## Checksums

- split: {karpathy}
- pictures: {images}
"""

_CC12M_CARD = """# Dataset card: Conceptual 12M

Pictures from the web, each with the text that stood beside it there.

| shards | pairs | bytes |
| --- | --- | --- |
| {shards:,} | {pairs:,} | {bytes:,} |

## Source and terms

Soravit Changpinyo, Piyush Sharma, Nan Ding and Radu Soricut, "Conceptual 12M: Pushing Web-Scale
Image-Text Pre-Training To Recognize Long-Tail Visual Concepts", CVPR 2021,
<https://github.com/google-research-datasets/conceptual-12m>, where the terms are. Google publishes
addresses and captions, not the pictures, whose rights are their owners'; some have gone since.

## How it was made

By `data_scripts/get_cc12m.py` of erasekit {version}. The shards are as they came: webdataset, that
is tar files with `KEY.jpg`, `KEY.txt` and `KEY.json`. Those of the Hugging Face data set
`pixparse/cc12m-wds`, where shards come from unless others were named, were fetched with img2dataset
and made smaller, to a short side of 512 pixels, where they were larger. There are no splits.

## Limits

Nobody looked at the pictures one by one: expect people, offensive things and wrong captions. Which
pictures are here depends on when they were fetched.

## Checksums

`shards.csv` has the number of pairs, the size and the SHA-256 of each shard.
"""
