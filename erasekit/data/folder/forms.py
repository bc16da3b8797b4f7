"""The forms that a folder of pairs may have, and their rows one by one.

Reading tells what is there, good or bad: a row, or the problem that stands in its place. Whether a
row makes sense, and what lies behind its path, is for `erasekit.data.folder.check` to say.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from erasekit.data.folder.listing import BATCH, SPLITS, arrow, place, reason, sample_key, shown
from erasekit.errors import RunError, UsageError, unknown
from erasekit.files import sha256_file
from erasekit.progress import progress_bar

#: Tables that a folder may have.
TABLES = ("pairs.csv", "pairs.jsonl", "pairs.parquet")
#: Columns of a table that must be there, and that may be.
NEEDED, OPTIONAL = ("image", "caption"), ("concept", "group", "split")
#: File names that are taken for pictures.
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
#: What a text may not hold: a NUL, a mark that another program put for what it could not read,
#: bytes that are no UTF-8.
BROKEN = re.compile("[\x00\ufffd\ud800-\udfff]")
#: Characters of a text.
MOST_TEXT = 100_000
#: Kinds of problems that reading tells of.
MISSING, OUTSIDE, ROW = "missing file", "path outside the folder", "unreadable row"
SHARD = "damaged shard"


class Problem(NamedTuple):
    """What is wrong with a row."""

    place: str  #: the row in words
    kind: str
    said: str  #: what exactly


class Row(NamedTuple):
    """One row as it is told."""

    image: str
    caption: str
    concept: str = ""
    group: str = ""
    split: str = ""
    line: int = -1
    offset: int = -1
    length: int = 0


@dataclass(frozen=True)
class Source:
    """One of the forms that a folder may have.

    Attributes:
        root: the folder, without links.
        form: ``csv``, ``jsonl``, ``parquet``, ``classes`` or ``shards``.
        files: the table, or the shards; for classes the class folders.
        progress: show a bar where it takes long.
    """

    root: Path
    form: str
    files: tuple[Path, ...]
    progress: bool

    @property
    def what(self) -> str:
        """Its name in words: the table's file, or the form."""
        return self.files[0].name if self.is_table else f"the {self.form}"

    @property
    def is_table(self) -> bool:
        """Whether rows stand in a table, and not in the files' own names."""
        return self.form not in ("classes", "shards")

    def place(self, line: int, path: str) -> str:
        """A row in words."""
        return place(self.form, self.files[0].name, line, path)

    def recipe(self) -> Any:
        """What decides the rows."""
        if self.is_table:
            return {"form": self.form, "sha256": sha256_file(self.files[0])}
        if self.form == "classes":
            return {"form": self.form, "sha256": _hash(row.image for row in class_files(self))}
        times = [(file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        names = [file.relative_to(self.root).as_posix() for file in self.files]
        return {"form": self.form, "files": list(zip(names, times, strict=True))}

    def rows(self) -> Iterator[Row | Problem]:
        """Every row in its order, or what is wrong in its place.

        Raises:
            UsageError: when a table has not the columns that it needs.
            RunError: when it is damaged as a whole.
        """
        return _READERS[self.form](self)


def source_of(folder: Path, progress: bool) -> Source:
    """What a folder holds, by the names in it.

    Raises:
        UsageError: when it is no folder, or none of a form that is read.
        OSError: when it cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: give one with your pictures, folder:PATH")
    root = folder.resolve()
    tables = [root / name for name in TABLES if (root / name).is_file()]
    if len(tables) > 1:
        both = " and ".join(table.name for table in tables)
        raise UsageError(f"{root} has {both}: leave one of them, so that it is clear which counts")
    if tables:
        return Source(root, tables[0].suffix[1:], tuple(tables), progress)
    shards = sorted([*root.glob("*.tar"), *root.glob("shards/*.tar")])
    if shards:
        return Source(root, "shards", tuple(shards), progress)
    return Source(root, "classes", tuple(_classes(root)), progress)


def _classes(root: Path) -> list[Path]:
    """The class folders, those of the splits one split after the other."""
    folders = _folders(root)
    splits = [each for each in folders if each.name in SPLITS and _folders(each)]
    for each in folders:
        if splits and each not in splits:
            hint = f"Beside {splits[0].name}/CLASS there may be other splits alone"
            raise unknown(f"split folder in {root}", each.name, SPLITS, hint)
    classes = [inner for each in splits for inner in _folders(each)] or folders
    if not classes:
        raise UsageError(
            f"{root} has none of {', '.join(TABLES)}, no folder for each class "
            "and no shards (*.tar)"
        )
    return classes


def _folders(folder: Path) -> list[Path]:
    return sorted(
        each for each in folder.iterdir() if each.is_dir() and not each.name.startswith((".", "__"))
    )


# Reading


def class_files(source: Source) -> Iterator[Row]:
    """Every file below the class folders, in order."""
    for folder in source.files:
        above = folder.parent.relative_to(source.root).as_posix()
        name = folder.name.replace("_", " ").strip()
        for file in _files(folder):
            image = file.relative_to(source.root).as_posix()
            yield Row(image, name, name, split="" if above == "." else above)


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder. A link to a folder in it is told as a file, and not followed."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)


def _class_rows(source: Source) -> Iterator[Row | Problem]:
    return (row for row in class_files(source) if is_picture(row.image))


def is_picture(name: str) -> bool:
    """Whether a file is taken for a picture, by its name."""
    return name.lower().endswith(PICTURES)


def _csv_rows(source: Source) -> Iterator[Row | Problem]:
    table = source.files[0]
    # Bytes that are no UTF-8 come through as marks, so that their row can be named.
    with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            names = [name.strip() for name in next(lines, [])]
        except csv.Error as error:
            raise UsageError(f"{table} has no line with the columns' names ({error})") from error
        _check_columns(table, names)
        while True:
            line = lines.line_num + 1
            try:
                cells = next(lines)
            except StopIteration:
                return
            except csv.Error as error:
                yield Problem(source.place(line, ""), ROW, f"this is no CSV: {error}")
                continue
            if len(cells) == len(names):
                yield _row(dict(zip(names, cells, strict=True)), line)
            elif cells:
                said = f"{len(cells)} cells under {len(names)} columns"
                mend = "a caption with a comma stands in quotes"
                yield Problem(source.place(line, ""), ROW, f"{said}: {mend}")


def _jsonl_rows(source: Source) -> Iterator[Row | Problem]:
    table = source.files[0]
    checked = False
    with table.open("rb") as file:
        for line, held in enumerate(file, start=1):
            if not held.strip():
                continue
            try:
                cells = _json_texts(held.decode("utf-8-sig", errors="surrogateescape"))
            except ValueError as error:
                yield Problem(source.place(line, ""), ROW, str(error))
                continue
            if not checked:
                _check_columns(table, list(cells))
                checked = True
            yield _row(cells, line)


def _json_texts(held: str) -> dict[str, str]:
    """The columns of an object in JSON that are texts, with nothing where there is null."""
    try:
        value = json.loads(held)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no JSON: {reason(error)}") from error
    if not isinstance(value, dict):
        raise ValueError("this is no JSON object")
    cells = {key: value[key] for key in (*NEEDED, *OPTIONAL) if key in value}
    for key, cell in cells.items():
        if cell is not None and not isinstance(cell, str):
            raise ValueError(f"'{key}' is no text")
    return {key: cell or "" for key, cell in cells.items()}


def _parquet_rows(source: Source) -> Iterator[Row | Problem]:
    pa = arrow()
    from pyarrow import parquet

    table, line = source.files[0], 0
    try:
        with table.open("rb") as opened, parquet.ParquetFile(opened) as file:
            schema = file.schema_arrow
            _check_columns(table, schema.names)
            chosen = [name for name in (*NEEDED, *OPTIONAL) if name in schema.names]
            for name in chosen:
                _check_texts(table, schema.field(name))
            for batch in file.iter_batches(BATCH, columns=chosen):
                # As bytes, for pyarrow does not say which of its texts is no UTF-8.
                cells = [
                    column.cast(pa.large_string(), safe=False).cast(pa.large_binary()).to_pylist()
                    for column in (batch.column(name) for name in chosen)
                ]
                for held in zip(*cells, strict=True):
                    texts = ((each or b"").decode(errors="surrogateescape") for each in held)
                    yield _row(dict(zip(chosen, texts, strict=True)), line)
                    line += 1
    except (pa.ArrowException, OSError) as error:
        raise RunError(f"{table} is damaged: {reason(error)}") from error


def _check_columns(table: Path, names: Sequence[str]) -> None:
    if any(BROKEN.search(name) for name in names):
        raise UsageError(f"{table} is not in UTF-8: save it anew in that encoding")
    for needed in NEEDED:
        if needed not in names:
            told = ", ".join(map(shown, names)) or "none"
            raise UsageError(f"{table} has no column '{needed}'; it has {told}")
    for name in names:
        if names.count(name) > 1 and name in (*NEEDED, *OPTIONAL):
            raise UsageError(f"{table} has the column '{name}' twice")


def _check_texts(table: Path, field: Any) -> None:
    types = arrow().types
    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind)):
        raise UsageError(f"{table}: the column '{field.name}' has {kind} in it, not texts")


def _row(cells: dict[str, str], line: int) -> Row:
    image = cells.get("image", "").strip()
    # In its shortest spelling, so that a picture has one path.
    image = posixpath.normpath(image) if image else ""
    return Row(image, cells.get("caption", ""), **_optional(cells), line=line)


def _optional(cells: dict[str, str]) -> dict[str, Any]:
    return {name: cells.get(name, "").strip() for name in OPTIONAL}


def _shard_rows(source: Source) -> Iterator[Row | Problem]:
    with progress_bar("reading shards", "shard", len(source.files), show=source.progress) as bar:
        for shard in source.files:
            yield from _rows_of_shard(source, shard)
            bar.update(1)


def _rows_of_shard(source: Source, shard: Path) -> Iterator[Row | Problem]:
    name = shard.relative_to(source.root).as_posix()
    if not within(source.root, shard):
        yield Problem(f"shard {shown(name)}", OUTSIDE, "it is a link out of the folder")
        return
    try:
        with shard.open("rb") as file:
            for members in _samples(file):
                yield _sample(source, file, f"{name}/", members)
    except (tarfile.TarError, OSError) as error:
        yield Problem(f"shard {shown(name)}", SHARD, f"it cannot be read on: {reason(error)}")


def _samples(file: BinaryIO) -> Iterator[list[tarfile.TarInfo]]:
    """The members of a shard that belong together, one after the other.

    Raises:
        TarError: after the last sample, if the shard is damaged behind it.
    """
    together: list[tarfile.TarInfo] = []
    damage = None
    try:
        for member in _members(file):
            if together and sample_key(member.name) != sample_key(together[0].name):
                yield together
                together = []
            together.append(member)
    except tarfile.TarError as error:
        damage = error
    if together:
        yield together
    if damage is not None:
        raise damage


def _members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """The files in a shard. Raises as `_samples`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # tarfile would keep them all
            if member.offset_data + member.size > size:
                raise tarfile.ReadError("it ends too early")
            # What begins so is no part of a sample: notes of packers and of desktops.
            aside = posixpath.basename(member.name).startswith((".", "__"))
            if member.isreg() and not member.issparse() and not aside:
                yield member
        # tarfile takes a header that it cannot read for the end.
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError("a header is damaged")


def _sample(
    source: Source, file: BinaryIO, prefix: str, members: Sequence[tarfile.TarInfo]
) -> Row | Problem:
    """The members of one key as a row."""
    key = sample_key(members[0].name)
    parts = {member.name[len(key) + 1 :].lower(): member for member in members}
    where = source.place(-1, prefix + key)
    picture = next((part for part in parts if f".{part}" in PICTURES), None)
    for part, wanted in ((picture, "picture"), ("txt" if "txt" in parts else None, "caption")):
        if part is None:
            said = f"there is no {wanted} beside {shown(members[0].name)}"
            return Problem(where, MISSING, f"{said}: the files of a key follow each other")
    assert picture is not None
    try:
        texts = _json_texts(_member_text(file, parts["json"])) if "json" in parts else {}
        caption = _member_text(file, parts["txt"]).strip()
    except ValueError as error:
        return Problem(where, ROW, str(error))
    spot = parts[picture]
    at: dict[str, Any] = {"offset": spot.offset_data, "length": spot.size}
    return Row(prefix + spot.name, caption, **_optional(texts), **at)


def _member_text(file: BinaryIO, member: tarfile.TarInfo) -> str:
    if member.size > 4 * MOST_TEXT:
        raise ValueError(f"{shown(member.name)} has {member.size:,} bytes, too many for a text")
    file.seek(member.offset_data)
    return file.read(member.size).decode("utf-8-sig", errors="surrogateescape")


_READERS: dict[str, Callable[[Source], Iterator[Row | Problem]]] = {
    "csv": _csv_rows,
    "jsonl": _jsonl_rows,
    "parquet": _parquet_rows,
    "classes": _class_rows,
    "shards": _shard_rows,
}


def within(root: Path, path: Path) -> bool:
    """Whether a path, its links followed, lies in a folder."""
    return path.resolve().is_relative_to(root)


def _hash(texts: Iterable[str]) -> str:
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode(errors="surrogateescape") + b"\0")
    return found.hexdigest()
