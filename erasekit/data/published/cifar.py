"""CIFAR-10 and CIFAR-100 as folders of pairs.

Reads the published binary versions. A record is the label (in CIFAR-100 the coarse label and the
fine one), and 1,024 bytes each of red, green and blue, row by row; label names are in text files.
The Python versions are not read: they consist of pickles, which can execute arbitrary code.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Cifar:
    """What differs between the two data sets.

    Attributes:
        title: its name.
        source: the published archive; the checksums are the publisher's.
        parts: the files of records of each published part.
        labels: the file of label names.
        coarse: the file of coarse label names; empty where a record has no coarse label.
        groups: the group of each label where the data set has none.
    """

    title: str
    source: Source
    parts: Mapping[str, tuple[str, ...]]
    labels: str
    coarse: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)


_SITE = "https://www.cs.toronto.edu/~kriz"
CIFAR10 = Cifar(
    "CIFAR-10",
    Source(
        "cifar-10-binary.tar.gz",
        (f"{_SITE}/cifar-10-binary.tar.gz",),
        "md5:c32a1d4ab5d03f1284b67883e8d87530",
        170_052_171,
    ),
    {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)},
    "batches.meta.txt",
    groups={
        **dict.fromkeys(("airplane", "automobile", "ship", "truck"), "vehicles"),
        **dict.fromkeys(("bird", "cat", "deer", "dog", "frog", "horse"), "animals"),
    },
)
CIFAR100 = Cifar(
    "CIFAR-100",
    Source(
        "cifar-100-binary.tar.gz",
        (f"{_SITE}/cifar-100-binary.tar.gz",),
        "md5:03b5dce01913d631647c71ecec9e9cb8",
        168_513_733,
    ),
    {"train": ("train.bin",), "test": ("test.bin",)},
    "fine_label_names.txt",
    "coarse_label_names.txt",
)

_PIXELS = 3 * 32 * 32


def make_cifar(
    published: Cifar, archive: Path, out: Path, *, progress: bool = True
) -> dict[str, int]:
    """Write the binary version of CIFAR-10 or CIFAR-100 as a folder of pairs.

    Each picture is a PNG of 32 × 32 pixels. Caption and concept are the label, with spaces for
    underscores. The group is the coarse label; CIFAR-10 has none, and its groups here are animals
    and vehicles. The published test pictures are ``test``; a tenth of each class of the published
    training pictures, drawn by `SEED`, is ``validation``. Exact copies of a test picture are
    skipped; copies of one training picture share a split.

    Args:
        published: which of the two.
        archive: its published archive.
        out: folder to fill.
        progress: whether to show bars.

    Returns:
        The number of pairs in each split.

    Raises:
        UsageError: when `out` already holds pairs or pictures; without the package pyarrow.
        RunError: when the archive is damaged or a different one; when `out` cannot be written.
    """
    with writing(out), tempfile.TemporaryDirectory(dir=out, prefix=".unpacked.") as aside:
        unpacked = unpack(archive, Path(aside) / "all", progress=progress)
        folder = _published(published, archive, unpacked)
        fine = _label_names(folder / published.labels)
        groups = sorted(set(published.groups.values()))
        coarse = _label_names(folder / published.coarse) if published.coarse else tuple(groups)
        parts = {
            part: np.concatenate([_records(published, folder / f, coarse, fine) for f in files])
            for part, files in published.parts.items()
        }
        _check_one_group(archive, np.concatenate([each[:, :2] for each in parts.values()]), fine)
        rows = []
        total = sum(map(len, parts.values()))
        with (
            whole_folder(out / IMAGES) as images,
            progress_bar(published.title, "picture", total, show=progress) as bar,
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
            title=published.title,
            script=f"get_{published.title.lower().replace('-', '')}.py",
            group="the coarse one" if published.coarse else "animals or vehicles (erasekit's)",
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


def _published(published: Cifar, archive: Path, unpacked: Path) -> Path:
    wanted = [name for files in published.parts.values() for name in files]
    wanted += [name for name in (published.labels, published.coarse) if name]
    found = [each.parent for each in sorted(unpacked.rglob(wanted[0]))]
    if not found or not all((found[0] / name).is_file() for name in wanted):
        raise RunError(
            f"{archive} lacks some of {', '.join(wanted)}: it takes the binary version, "
            f"{published.source.name}. The one for Python is pickles, which are not read: they "
            "run code"
        )
    return found[0]


def _label_names(file: Path) -> tuple[str, ...]:
    """Read a published list of labels; names become paths, so only plain words are accepted."""
    names = tuple(file.read_text(encoding="ascii", errors="replace").split())
    if not names or not all(re.fullmatch(r"[a-z0-9_]+", name) for name in names):
        raise RunError(f"{file.name} is damaged: it is not a list of lower-case names")
    return names


def _records(
    published: Cifar, file: Path, coarse: Sequence[str], fine: Sequence[str]
) -> np.ndarray:
    """Read all records of a file: coarse label, label and pixels, uint8, shape (n, 3074)."""
    labels = 2 if published.coarse else 1
    content, size = np.fromfile(file, dtype=np.uint8), labels + _PIXELS
    if not content.size or content.size % size:
        raise RunError(
            f"{file.name} is damaged: {content.size:,} bytes are not records of {size:,} bytes"
        )
    records = content.reshape(-1, size)
    firsts = coarse if published.coarse else fine
    if records[:, labels - 1].max() >= len(fine) or records[:, 0].max() >= len(firsts):
        raise RunError(f"{file.name} is damaged: it has a label without a name")
    if published.coarse:
        return records
    unknown = [name for name in fine if name not in published.groups]
    if unknown:
        raise RunError(f"{published.labels} is damaged: {published.title} has no '{unknown[0]}'")
    group_of = np.array([coarse.index(published.groups[name]) for name in fine], dtype=np.uint8)
    return np.column_stack([group_of[records[:, 0]], records])


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


_CARD = """# Dataset card: {title}

Photographs of 32 × 32 pixels with one thing each, of {classes} classes in {groups} groups. The
caption of a picture is the bare name of its class.

{rows}

## Source and terms

{title} by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton, University of Toronto:
<https://www.cs.toronto.edu/~kriz/cifar.html>. No licence is published with it. Its authors ask to
cite: Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. The rights in
the pictures are those of their makers, who are not named.

## How it was made

By `data_scripts/{script}` of erasekit {version}, from the binary version. Pixels are as
published, in PNG files by published part, class and place in the part. `concept` is the label, with
spaces for underscores, and `group` is {group}. The published test pictures are `test`; of
the published training pictures a tenth of each class, drawn with seed {seed}, is `validation`.
Training pictures with the very pixels of a test picture are left out: {twice}. Copies within
the training pictures are in one split.

## Limits

The pictures come from the "80 million tiny images", which their collectors took back in 2020 since
it holds offensive labels and pictures; the labels of {title} were given by hand. Some
pictures are nearly the same as others, across the splits too.

## Checksums

- {source}
"""
