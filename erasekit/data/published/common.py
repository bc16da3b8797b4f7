"""Shared code to convert CIFAR, Flickr30K and Conceptual 12M to folders of pairs.

CIFAR and Flickr30K become ``pairs.parquet`` with the columns ``image`` (a path relative to the
folder, with forward slashes), ``caption``, ``split`` (train, validation, test) and, for CIFAR,
``concept`` and ``group``; the pictures are in ``images/``. Conceptual 12M stays in its shards.
Each folder has a ``DATASET_CARD.md``. The table is written last: a folder without it is incomplete.

erasekit does not include the data sets. `cifar`, `flickr30k` and `cc12m` describe their
published formats.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from erasekit.data.arrow_files import arrow
from erasekit.data.picture_files import opened
from erasekit.data.published.download import download
from erasekit.data.worlds import SPLITS
from erasekit.errors import RunError, UsageError, reason
from erasekit.files import sha256_file, write_bytes, write_text, write_whole

#: Names of the table of pairs, the folder of pictures, and the data card.
PAIRS, IMAGES, CARD = "pairs.parquet", "images", "DATASET_CARD.md"


@dataclass(frozen=True)
class Source:
    """A published file: its name, its addresses and its checksum."""

    name: str
    urls: tuple[str, ...]
    checksum: str
    size: int


def fetch(
    source: Source,
    folder: Path,
    *,
    mirrors: Sequence[str] = (),
    checksum: str | None = None,
    progress: bool = True,
) -> Path:
    """Download a published file into a folder.

    Args:
        source: the file to download.
        folder: target folder; the file keeps its published name.
        mirrors: addresses of folders or files to try before the known ones.
        checksum: replaces the known checksum, for another version.
        progress: whether to show a bar.

    Raises:
        UsageError, RunError: as `erasekit.data.published.download.download`.
    """
    return download(
        [*at_mirrors(mirrors, source.name), *source.urls],
        Path(folder) / source.name,
        checksum=checksum or source.checksum,
        size=None if checksum else source.size,
        progress=progress,
    )


def at_mirrors(mirrors: Sequence[str], name: str) -> list[str]:
    """Return a file's address at each mirror, given as the address of a folder or of the file."""
    return [m if m.endswith(f"/{name}") else f"{m.rstrip('/')}/{name}" for m in mirrors]


@contextlib.contextmanager
def writing(out: Path, *, new: bool = True) -> Iterator[None]:
    """Create the folder, and convert disk errors to `RunError`.

    Args:
        out: the folder.
        new: whether to refuse a folder that already holds pairs.

    Raises:
        UsageError: when the folder already holds pairs; without the package pyarrow.
        RunError: when it cannot be written.
    """
    if new:
        arrow()
        for name in (PAIRS, IMAGES):
            if (out / name).exists():
                raise UsageError(f"{out} has {name} already: remove it, or give another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise RunError(f"cannot write {out}: {reason(error)}") from error


def counts_of(splits: Iterator[str]) -> dict[str, int]:
    """Count how often each split occurs, including zero counts."""
    counted = Counter(splits)
    return {split: counted[split] for split in SPLITS}


def table_of(heads: str, columns: Sequence[Mapping[str, int]]) -> str:
    """Format counts by split as a table for the card."""
    lines = [f"| split | {heads} |", "| --- |" + " --- |" * len(columns)]
    for split in SPLITS:
        lines.append(f"| {split} | " + " | ".join(f"{each[split]:,}" for each in columns) + " |")
    return "\n".join(lines)


def source_line(file: Path) -> str:
    """Format a file's name and checksum for the card."""
    return f"`{Path(file).name}`, SHA-256 `{sha256_file(file)}`"


def finish(out: Path, names: Sequence[str], rows: Sequence[Sequence[str]], card: str) -> None:
    """Write the card and then the table, which marks the folder as complete."""
    pa = arrow()
    columns = zip(*rows, strict=True)
    held = io.BytesIO()
    table = {
        name: pa.array(values, pa.string()) for name, values in zip(names, columns, strict=True)
    }
    pa.parquet.write_table(pa.table(table), held)
    content = held.getvalue()
    table_sum = hashlib.sha256(content).hexdigest()
    write_text(out / CARD, f"{card}- `{PAIRS}`: SHA-256 `{table_sum}`\n")
    write_bytes(out / PAIRS, content)


def check_picture(picture: Path | IO[bytes], place: str) -> None:
    """Read a picture's header, to detect files of another kind early.

    Raises:
        RunError: when the file is not a picture; names `place`.
    """
    try:
        with opened(picture):
            pass
    except ValueError as error:
        raise RunError(f"{place} cannot be read: {error}") from error


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file where the disk allows it, and copy it otherwise."""
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one without links
        write_whole(target, lambda aside: _copy(source, aside))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
