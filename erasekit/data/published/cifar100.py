"""CIFAR-100 as a folder of pairs.

Reads the published binary version: records of 3,074 bytes, which are the coarse label, the fine
label, and 1,024 bytes each of red, green and blue, row by row; label names in two text files. The
Python version is not read: it consists of pickles, which can execute arbitrary code.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from erasekit.data.published.archives import unpack, whole_folder
from erasekit.data.published.common import (
    IMAGES,
    Source,
    counts_of,
    finish,
    source_line,
    table_of,
    writing,
)
from erasekit.errors import RunError
from erasekit.progress import progress_bar

#: Seed that selects the validation pictures, a tenth of the published training pictures.
SEED = 0
#: The checksum is the publisher's.
CIFAR100 = Source(
    "cifar-100-binary.tar.gz",
    ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
    "md5:03b5dce01913d631647c71ecec9e9cb8",
    168_513_733,
)

_PIXELS = 3 * 32 * 32
_RECORD = 2 + _PIXELS


def make_cifar100(archive: Path, out: Path, *, progress: bool = True) -> dict[str, int]:
    """Write CIFAR-100's binary version as a folder of pairs.

    Each picture is a PNG of 32 × 32 pixels. Caption and concept are the fine label, the group is
    the coarse label, both with spaces for underscores. The published test pictures are ``test``;
    a tenth of each class of the published training pictures, drawn by `SEED`, is ``validation``.
    Exact copies of a test picture are skipped; copies of one training picture share a split.

    Args:
        archive: ``cifar-100-binary.tar.gz``.
        out: folder to fill.
        progress: whether to show bars.

    Returns:
        The number of pairs in each split.

    Raises:
        UsageError: when `out` already holds pairs or pictures; without the package pyarrow.
        RunError: when the archive is damaged or a different one; when `out` cannot be written.
    """
    with writing(out), tempfile.TemporaryDirectory(dir=out, prefix=".unpacked.") as aside:
        published = _published(archive, unpack(archive, Path(aside) / "all", progress=progress))
        fine = _label_names(published / "fine_label_names.txt")
        coarse = _label_names(published / "coarse_label_names.txt")
        parts = {
            part: _records(published / f"{part}.bin", len(coarse), len(fine))
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
                splits = _splits(parts, fine) if part == "train" else ["test"] * len(records)
                for i, (record, split) in enumerate(zip(records, splits, strict=True)):
                    bar.update()
                    if split is None:
                        continue
                    name, group = fine[record[1]], coarse[record[0]]
                    path = f"{part}/{name}/{i:05}.png"
                    (images / path).parent.mkdir(parents=True, exist_ok=True)
                    (images / path).write_bytes(_png(record[2:]))
                    rows.append((f"{IMAGES}/{path}", _words(name), _words(group), split))
        counts = counts_of(split for *_, split in rows)
        card = _CARD.format(
            rows=table_of("pairs", [counts]),
            classes=len(fine),
            groups=len(coarse),
            seed=SEED,
            twice=total - len(rows),
            source=source_line(archive),
            version=version("erasekit"),
        )
        table = [(image, concept, concept, group, split) for image, concept, group, split in rows]
        finish(out, ("image", "caption", "concept", "group", "split"), table, card)
    return counts


def _published(archive: Path, unpacked: Path) -> Path:
    found = [each.parent for each in sorted(unpacked.rglob("train.bin"))]
    wanted = ("train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt")
    if not found or not all((found[0] / name).is_file() for name in wanted):
        raise RunError(
            f"{archive} lacks some of {', '.join(wanted)}: it takes the binary version, "
            f"{CIFAR100.name}. The one for Python is pickles, which are not read: they run code"
        )
    return found[0]


def _label_names(file: Path) -> tuple[str, ...]:
    """Read a published list of labels; names become paths, so only plain words are accepted."""
    names = tuple(file.read_text(encoding="ascii", errors="replace").split())
    if not names or not all(re.fullmatch(r"[a-z0-9_]+", name) for name in names):
        raise RunError(f"{file.name} is damaged: it is not a list of lower-case names")
    return names


def _records(file: Path, coarse: int, fine: int) -> np.ndarray:
    """Read all records of a file, uint8, shape (n, 3074)."""
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


def _splits(parts: Mapping[str, np.ndarray], names: Sequence[str]) -> list[str | None]:
    """Return the split of each published training picture; None if it is also a test picture.

    A picture in two splits would be both a member and a non-member.
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
    """Return positions of a tenth of each class, independent of library versions."""
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


_CARD = """# Dataset card: CIFAR-100

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
