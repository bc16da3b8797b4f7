"""Your own pictures and captions: a folder is read, checked, and becomes a list of pairs.

The folder is one of:

- a table beside the pictures, ``pairs.csv``, ``pairs.jsonl`` or ``pairs.parquet``, with the columns
  ``image`` (a path in the folder) and ``caption``, and if you like ``concept``, ``group`` and
  ``split`` (train, validation or test). Several rows may show one picture;
- a folder for each class, ``CLASS/*.jpg``, or ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``: the
  class is the concept, and its name is the caption;
- shards as webdataset writes them, ``*.tar`` or ``shards/*.tar``: ``KEY.jpg`` and ``KEY.txt`` one
  after the other, and if you like ``KEY.json`` with ``concept``, ``group`` and ``split``.

Where no split is told, a hash of the picture's path decides: 80 % train, 10 % validation, 10 %
test, the same on every machine. What was read and found is kept in the cache, so that the next
run of the same folder starts at once.
"""

from __future__ import annotations

import csv
import hashlib
import os
import posixpath
import re
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from erasekit.cache import cached
from erasekit.data.folder.forms import (
    BROKEN,
    MISSING,
    MOST_TEXT,
    NEEDED,
    OPTIONAL,
    OUTSIDE,
    ROW,
    Problem,
    Row,
    Source,
    class_files,
    is_picture,
    source_of,
    within,
)
from erasekit.data.folder.listing import (
    BATCH,
    SPLITS,
    FolderPairs,
    Listing,
    Spot,
    arrow,
    batches,
    content,
    decode,
    in_threads,
    mapped,
    numbers,
    reason,
    shown,
)
from erasekit.errors import RunError, UsageError, unknown
from erasekit.files import read_json, write_json, write_whole
from erasekit.progress import progress_bar

#: How much is checked: everything, or all but the pictures' contents.
CHECKS = ("all", "table")
#: Further kinds of problems.
DAMAGED, EMPTY, ENCODING = "damaged picture", "empty caption", "wrong encoding"
SPLIT, TWICE = "unknown split", "same picture in two splits"

# Pictures whose checks are saved together, so that an interrupted run goes on from there.
_SAVED_AT_ONCE = 512


@dataclass(frozen=True)
class FolderReport:
    """What was found in a folder.

    Attributes:
        folder: that was read.
        rows: there are, good and bad.
        pictures: that the readable rows show.
        kept: rows without a problem.
        counts: number of problems of each kind. What is wrong with a picture counts once,
            at the first row that shows it.
        first: the first problem.
        ignored: files in class folders that are no pictures by their name.
        path: the CSV file with all problems, in the cache.
    """

    folder: Path
    rows: int
    pictures: int
    kept: int
    counts: dict[str, int]
    first: Problem | None
    ignored: int
    path: Path

    def problems(self) -> Iterator[Problem]:
        """Every problem, read from the file one at a time."""
        with self.path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            next(lines)
            yield from (Problem(*line) for line in lines)

    def write(self, path: Path | str) -> Path:
        """Write all problems to a CSV file: columns place, kind, said.

        Raises:
            RunError: when it cannot be written.
        """
        return write_whole(Path(path), lambda aside: _copy(self.path, aside))

    def __str__(self) -> str:
        lines = [
            f"{self.folder}: {self.rows:,} rows, {self.kept:,} of them good; "
            f"{self.pictures:,} pictures"
        ]
        if self.ignored:
            lines.append(f"no pictures by their names, passed over: {self.ignored:,} files")
        if self.first is None:
            return "\n".join([*lines, "no problems"])
        lines += [f"{number:>9,}  {kind}" for kind, number in sorted(self.counts.items())]
        lines.append(f"the first: {self.first.place}: {self.first.said}")
        return "\n".join([*lines, f"all of them: {self.path}"])


def check_folder(path: Path | str, *, checks: str = "all", progress: bool = True) -> FolderReport:
    """Read a folder and tell what is wrong with it.

    Args:
        path: the folder, as a path or as ``folder:PATH``.
        checks: ``all`` decodes every picture and compares their contents; ``table`` looks only
            whether the files are there.
        progress: show a bar while pictures are decoded.

    Raises:
        UsageError: when it is no folder of a form that is read, or has no rows at all.
        RunError: when a table is damaged, or the cache cannot be written.
    """
    return _examine(path, checks, progress)[0]


def read_folder(
    path: Path | str, *, skip_bad: bool = False, checks: str = "all", progress: bool = True
) -> FolderPairs:
    """The pairs in a folder.

    Args:
        path: the folder, as a path or as ``folder:PATH``.
        skip_bad: leave rows with a problem out.
        checks: ``all`` decodes every picture and compares their contents; ``table`` looks only
            whether the files are there.
        progress: show a bar while pictures are decoded.

    Raises:
        UsageError: as `check_folder`; when there is a problem, unless `skip_bad`; when no row
            is good.
        RunError: as `check_folder`.
    """
    report, pairs = _examine(path, checks, progress)
    if report.first is not None and not (skip_bad and len(pairs)):
        told = ", ".join(f"{number:,} × {kind}" for kind, number in sorted(report.counts.items()))
        mend = "skip_bad leaves them out" if len(pairs) else "no row is good"
        raise UsageError(
            f"{report.folder} has problems: {told}. The first: {report.first.place}: "
            f"{report.first.said}. All are in {report.path}; {mend}"
        )
    return pairs


def _examine(path: Path | str, checks: str, progress: bool) -> tuple[FolderReport, FolderPairs]:
    if checks not in CHECKS:
        raise unknown("kind of checks", checks, CHECKS)
    arrow()
    folder = Path(str(path).removeprefix("folder:")).expanduser()
    try:
        source = source_of(folder, progress)
        recipe = {"folder": str(source.root), "source": source.recipe()}
    except OSError as error:
        raise RunError(f"cannot read {error.filename or folder}: {reason(error)}") from error
    read = cached("folder", recipe, lambda partial: _read(source, partial), code=__name__)
    pictures = read / "pictures.arrow"
    if not len(mapped(pictures)) and not read_json(read / "about.json")["counts"]:
        raise UsageError(f"{source.root}: {source.what} has no rows")
    states, seen = _look(source, pictures)
    checked = cached(
        "folder-checked",
        {**recipe, "files": seen, "checks": checks},
        lambda partial: _check(source, read, states, checks, partial),
        code=__name__,
    )
    listing = Listing(source.root, read, checked)
    about = read_json(checked / "report.json")
    first = Problem(*about.pop("first")) if about["first"] else about.pop("first")
    report = FolderReport(source.root, **about, first=first, path=checked / "problems.csv")
    return report, FolderPairs(listing, listing.kept)


def _read(source: Source, entry: Path) -> None:
    """Fill a cache entry with the rows that can be read, and the problems of the others."""
    pa = arrow()
    text, number, small = pa.large_string(), pa.int64(), pa.int32()
    row_columns = {"picture": small, "line": number, "caption": text}
    row_columns |= {"concept": small, "group": small, "split": pa.int8()}
    picture_columns = {"path": text, "offset": number, "length": number, "line": number}
    concepts, groups, pictures = _Codes(), _Codes(), _Codes()
    rows = 0
    with (
        _Problems(entry / "problems.csv") as problems,
        _Columns(entry / "rows.arrow", row_columns) as row_file,
        _Columns(entry / "pictures.arrow", picture_columns) as picture_file,
    ):
        for rows, row in enumerate(source.rows(), start=1):  # noqa: B007
            if isinstance(row, Problem):
                problems.add(row)
                continue
            wrong = list(_wrong(row))
            for kind, said in wrong:
                problems.add(Problem(source.place(row.line, row.image), kind, said))
            if wrong:
                continue
            # Only a table tells of one picture twice; a shard's are told apart by their place.
            picture = pictures[row.image] if source.is_table else len(picture_file)
            if picture == len(picture_file):
                picture_file.add((row.image, row.offset, row.length, row.line))
            split = SPLITS.index(row.split.lower()) if row.split else -1
            concept = concepts[row.concept] if row.concept else -1
            group = groups[row.group] if row.group else -1
            row_file.add((picture, row.line, row.caption, concept, group, split))
    about = {
        "form": source.form,
        "table": source.files[0].name,
        "rows": rows,
        "concept": list(concepts),
        "group": list(groups),
        "counts": problems.counts,
        "ignored": _ignored(source),
    }
    write_json(entry / "about.json", about)


def _ignored(source: Source) -> int:
    if source.form != "classes":
        return 0
    return sum(not is_picture(row.image) for row in class_files(source))


class _Codes(dict):
    """A number for each thing, in the order in which they come."""

    def __missing__(self, thing: Any) -> int:
        self[thing] = len(self)
        return self[thing]


def _wrong(row: Row) -> Iterator[tuple[str, str]]:
    """Kind and words of each thing that is wrong with a row by itself."""
    for name in (*NEEDED, *OPTIONAL):
        text = getattr(row, name)
        if BROKEN.search(text):
            said = "is not UTF-8, or was broken before: write it anew in UTF-8"
            yield ENCODING, f"'{name}' {said}"
        elif len(text) > MOST_TEXT:
            yield ROW, f"'{name}' has {len(text):,} characters, more than {MOST_TEXT:,}"
    if not row.caption.strip():
        yield EMPTY, "there is no caption"
    if row.split and row.split.lower() not in SPLITS:
        yield SPLIT, str(unknown("split", shown(row.split), SPLITS))
    if not row.image:
        yield MISSING, "no picture is named"
    elif row.image.startswith("/") or re.match(r"[A-Za-z]:[\\/]|\\", row.image):
        yield OUTSIDE, f"{shown(row.image)} is absolute: a path begins in the folder"
    elif row.image.split("/")[0] == "..":
        yield OUTSIDE, f"{shown(row.image)} leaves the folder"


# Looking at the files

_FINE, _GONE, _NO_FILE, _LINK = range(4)
_STATES = {
    _GONE: (MISSING, " is not there"),
    _NO_FILE: (MISSING, " is no file"),
    _LINK: (OUTSIDE, " is a link out of the folder"),
}


def _look(source: Source, pictures: Path) -> tuple[np.ndarray, str]:
    """Whether each picture's file is there, and one hash of all names, sizes and times."""
    states = np.zeros(len(mapped(pictures)), dtype=np.uint8)
    if source.form == "shards":
        return states, ""  # the shards' own sizes and times are in the recipe
    folder_within = lru_cache(10_000)(lambda folder: within(source.root, source.root / folder))
    seen = hashlib.sha256()
    for at, path in enumerate(_paths(pictures)):
        states[at], size, time = _state(source.root, path, folder_within)
        seen.update(f"{path}\0{states[at]}\0{size}\0{time}\0".encode())
    return states, seen.hexdigest()


def _paths(pictures: Path) -> Iterator[str]:
    for part in batches(pictures, ("path",)):
        yield from part.column(0).to_pylist()


def _state(root: Path, path: str, folder_within: Callable[[str], bool]) -> tuple[int, int, int]:
    """State, size and time of a file."""
    file = f"{root}/{path}"  # a Path would take longer than the look itself
    try:
        found = os.lstat(file)
        if not folder_within(posixpath.dirname(path)):
            return _LINK, 0, 0
        if stat.S_ISLNK(found.st_mode):
            if not within(root, Path(file)):
                return _LINK, 0, 0
            found = Path(file).stat()
    except (OSError, RuntimeError):  # not there, not allowed, or a link to itself
        return _GONE, 0, 0
    state = _FINE if stat.S_ISREG(found.st_mode) else _NO_FILE
    return state, found.st_size, found.st_mtime_ns


# Checking the pictures


def _check(source: Source, read: Path, states: np.ndarray, checks: str, entry: Path) -> None:
    """Fill a cache entry with what was found: the rows to keep, their splits, the problems."""
    listed, rows = read / "pictures.arrow", read / "rows.arrow"
    pictures = mapped(listed)
    about = read_json(read / "about.json")
    shutil.copyfile(read / "problems.csv", entry / "problems.csv")
    contents = np.arange(len(pictures), dtype=np.int32)
    good = states == _FINE
    with _Problems(entry / "problems.csv", about["counts"]) as problems:

        def add(at: int, line: int, kind: str, said: str) -> None:
            path = _at(pictures, "path", at)
            problems.add(Problem(source.place(line, path), kind, f"{shown(path)}{said}"))

        for at in np.flatnonzero(~good).tolist():
            add(at, _at(pictures, "line", at), *_STATES[states[at]])
        if checks == "all":
            digests = np.arange(len(pictures), dtype=np.uint64)
            for at, (digest, said) in enumerate(_decoded(source, listed, good, entry)):
                if digest:  # what cannot be read keeps its number, and is like nothing else
                    digests[at] = int(digest[:16], 16)
                if said:
                    add(at, _at(pictures, "line", at), DAMAGED, f": {said}")
                    good[at] = False
            contents = _same(digests, pictures)
        picture, told = numbers(rows, "picture"), numbers(rows, "split")
        kept = good[picture]
        splits, clash = _splits(contents[picture], told, kept, listed)
        for row in np.flatnonzero(clash).tolist():
            both = f"{SPLITS[told[row]]} and, before, in {SPLITS[splits[row]]}"
            line = _at(mapped(rows), "line", row)
            add(int(picture[row]), line, TWICE, f" is told to be in {both}")
    np.save(entry / "kept.npy", np.flatnonzero(kept & ~clash).astype(np.int32))
    np.save(entry / "splits.npy", splits)
    np.save(entry / "contents.npy", contents)
    first = _first_problem(entry / "problems.csv")
    report = {"rows": about["rows"], "pictures": len(pictures), "ignored": about["ignored"]}
    report |= {"kept": int((kept & ~clash).sum()), "counts": problems.counts, "first": first}
    write_json(entry / "report.json", report)
    shutil.rmtree(entry / "saved", ignore_errors=True)


def _at(table: Any, name: str, at: int) -> Any:
    return table[name].chunk(at // BATCH)[at % BATCH].as_py()


def _same(digests: np.ndarray, pictures: Any) -> np.ndarray:
    """For each picture, of those with its content the one whose path is the smallest.

    Args:
        digests: uint64, shape (pictures,): equal for pictures of equal content.
        pictures: the table with their paths.

    Returns:
        int32, shape (pictures,).
    """
    contents = np.arange(len(digests), dtype=np.int32)
    order = np.argsort(digests, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(digests[order]) != 0, True)) + 1
    starts = np.append(0, ends[:-1])
    for first, end in zip(*(edge[ends - starts > 1] for edge in (starts, ends)), strict=True):
        alike = order[first:end]
        paths = {_at(pictures, "path", int(at)): at for at in alike}
        contents[alike] = paths[min(paths)]
    return contents


def _decoded(
    source: Source, pictures: Path, good: np.ndarray, entry: Path
) -> Iterator[tuple[str, str]]:
    """Each picture's hash, and what is wrong with it; both empty where there is no file.

    What was done is saved in `entry`, from where an interrupted run goes on.
    """

    def check(one: tuple[Spot, bool]) -> tuple[str, str]:
        return _digest(source.root, one[0]) if one[1] else ("", "")

    start = 0
    with progress_bar("checking pictures", "picture", len(good), show=source.progress) as bar:
        for part in batches(pictures, Spot._fields):
            for first in range(0, len(part), _SAVED_AT_ONCE):
                saved = entry / "saved" / f"{start:09}.json"
                some = part.slice(first, _SAVED_AT_ONCE)
                if not saved.exists():
                    spots = [Spot(**each) for each in some.to_pylist()]
                    asked = zip(spots, good[start : start + len(some)], strict=True)
                    write_json(saved, list(in_threads(check, asked)))
                found = read_json(saved)
                start += len(some)
                bar.update(len(found))
                yield from found


def _digest(root: Path, spot: Spot) -> tuple[str, str]:
    """The hash of a picture's bytes, and what is wrong with it."""
    try:
        held = content(root, spot)
        decode(held)
    except (OSError, ValueError) as error:
        return "", reason(error)
    return hashlib.blake2b(held, digest_size=16).hexdigest(), ""


def _splits(
    contents: np.ndarray, told: np.ndarray, kept: np.ndarray, pictures: Path
) -> tuple[np.ndarray, np.ndarray]:
    """The split of each row, and which rows tell another one than their picture has.

    A picture is in the split that the first of its rows tells; if none does, the smallest of
    its paths decides.

    Args:
        contents: for each row its picture, the same one for all of the same content.
        told: for each row the split that it tells, or −1.
        kept: for each row whether it counts.
        pictures: the file with their paths.

    Returns:
        int8 and bool, each of shape (rows,).
    """
    split = np.full(len(mapped(pictures)), -1, dtype=np.int8)
    telling = np.flatnonzero((told >= 0) & kept)[::-1]
    split[contents[telling]] = told[telling]  # backwards, so that the first has the last word
    untold = np.zeros(len(split), dtype=bool)
    untold[contents[kept & (split[contents] < 0)]] = True
    for at, path in enumerate(_paths(pictures)):
        if untold[at]:
            split[at] = _hashed_split(path)
    splits = split[contents]
    return splits, kept & (told >= 0) & (told != splits)


def _hashed_split(path: str) -> int:
    """The split that a path belongs to where none is told, as a position in `SPLITS`."""
    tenth = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8]) % 10
    return max(0, tenth - 7)


# Writing


class _Columns:
    """An Arrow IPC file, written batch by batch from rows."""

    def __init__(self, path: Path, columns: dict[str, Any]) -> None:
        self._schema = arrow().schema(list(columns.items()))
        self._file = arrow().ipc.new_file(str(path), self._schema)
        self._rows: list[tuple] = []
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __len__(self) -> int:
        return self._number

    def add(self, row: tuple) -> None:
        self._number += 1
        self._rows.append(row)
        if len(self._rows) == BATCH:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True)
        arrays = [
            arrow().array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._file.write_batch(arrow().record_batch(arrays, schema=self._schema))
        self._rows = []

    def __exit__(self, kind: type | None, error: object, trace: TracebackType | None) -> None:
        if kind is None and self._rows:
            self._flush()
        self._file.close()


class _Problems:
    """The file of problems, and their numbers.

    Args:
        path: of the file; if it is there and has `counts`, more is added to it.
        counts: of the problems in it.
    """

    def __init__(self, path: Path, counts: dict[str, int] | None = None) -> None:
        self.counts: Counter[str] = Counter(counts)
        mode = "w" if counts is None else "a"
        self._file = path.open(mode, encoding="utf-8", newline="")
        self._lines = csv.writer(self._file)
        if counts is None:
            self._lines.writerow(Problem._fields)

    def __enter__(self) -> Self:
        return self

    def add(self, problem: Problem) -> None:
        self.counts[problem.kind] += 1
        self._lines.writerow(problem)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _first_problem(path: Path) -> list[str] | None:
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        next(lines)
        return next(lines, None)


def _copy(path: Path, to: Path) -> None:
    shutil.copyfile(path, to)
