"""The papers' data sets as folders of pairs: what CIFAR-100, Flickr30K and Conceptual 12M share.

CIFAR-100 and Flickr30K become ``pairs.parquet`` with the columns ``image`` (a path from the folder,
with forward slashes), ``caption``, ``split`` (train, validation, test) and, for CIFAR-100,
``concept`` and ``group``; the pictures lie beside it in ``images/``. Conceptual 12M stays in its
shards. Each folder explains itself in ``DATASET_CARD.md``. The table is written last: a folder
without it is not whole.

Nothing comes with erasekit. In which form each is published say `cifar100`, `flickr30k`, `cc12m`.
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

#: The table of pairs, the pictures beside it, and what explains them.
PAIRS, IMAGES, CARD = "pairs.parquet", "images", "DATASET_CARD.md"


@dataclass(frozen=True)
class Source:
    """A published file: its name, where it lies, and how it is recognised."""

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
    """Bring a published file into a folder.

    Args:
        source: what to fetch.
        folder: where to put it, under its published name.
        mirrors: places to ask before the known ones: a folder's address or the file's.
        checksum: instead of the known one, where another version is wanted.
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
    """A file's address at each mirror, of which a folder's address or the file's is given."""
    return [m if m.endswith(f"/{name}") else f"{m.rstrip('/')}/{name}" for m in mirrors]


@contextlib.contextmanager
def writing(out: Path, *, new: bool = True) -> Iterator[None]:
    """Make the folder, and turn what the disk says into an error for a person.

    Args:
        out: the folder.
        new: refuse one that holds pairs already.

    Raises:
        UsageError: when it does; without the package pyarrow.
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
    """How often each split is told, none left out."""
    counted = Counter(splits)
    return {split: counted[split] for split in SPLITS}


def table_of(heads: str, columns: Sequence[Mapping[str, int]]) -> str:
    """Counts by split, as a table of the card."""
    lines = [f"| split | {heads} |", "| --- |" + " --- |" * len(columns)]
    for split in SPLITS:
        lines.append(f"| {split} | " + " | ".join(f"{each[split]:,}" for each in columns) + " |")
    return "\n".join(lines)


def source_line(file: Path) -> str:
    """A file's name and checksum, for the card."""
    return f"`{Path(file).name}`, SHA-256 `{sha256_file(file)}`"


def finish(out: Path, names: Sequence[str], rows: Sequence[Sequence[str]], card: str) -> None:
    """Write the card and then the table, which says that the folder is whole."""
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
    """Read a picture's header, so that a file of another kind is found now.

    Raises:
        RunError: when it is no picture; names `place`.
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
