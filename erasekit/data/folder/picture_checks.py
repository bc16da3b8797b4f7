"""Check the pictures of a folder: decode each one, and find those with equal pixels."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from erasekit.data.arrow_files import batches, cell, mapped, numbers
from erasekit.data.folder.copies import difference_hash
from erasekit.data.folder.file_states import FINE, STATES
from erasekit.data.folder.problems import DAMAGED, TWICE, Problem, ProblemFile, read_problems
from erasekit.data.folder.row_splits import split_rows
from erasekit.data.folder.rows import Form
from erasekit.data.folder.spots import Spot, content
from erasekit.data.picture_files import decode, in_threads
from erasekit.data.worlds import SPLITS
from erasekit.errors import reason
from erasekit.files import read_json, write_json
from erasekit.progress import progress_bar
from erasekit.text import shown

# Pictures whose checks are saved together; an interrupted run resumes from there.
_SAVED_AT_ONCE = 512


def check_pictures(form: Form, read: Path, states: np.ndarray, checks: str, entry: Path) -> None:
    """Fill a cache entry with the results: the rows to keep, their splits, the problems."""
    listed, rows = read / "pictures.arrow", read / "rows.arrow"
    pictures = mapped(listed)
    about = read_json(read / "about.json")
    shutil.copyfile(read / "problems.csv", entry / "problems.csv")
    contents = np.arange(len(pictures), dtype=np.int32)
    hashes = np.zeros(len(pictures), dtype=np.uint64)
    good = states == FINE
    with ProblemFile(entry / "problems.csv", about["counts"]) as problems:

        def add(at: int, line: int, kind: str, said: str) -> None:
            path = cell(pictures, "path", at)
            problems.add(Problem(form.where(line, path), kind, f"{shown(path)}{said}"))

        for at in np.flatnonzero(~good).tolist():
            add(at, cell(pictures, "line", at), *STATES[states[at]])
        if checks == "all":
            digests = np.arange(len(pictures), dtype=np.uint64)
            for at, (digest, said, hashed) in enumerate(_decoded(form, listed, good, entry)):
                if digest:  # an unreadable picture keeps its number and equals no other
                    digests[at] = int(digest[:16], 16)
                    hashes[at] = int(hashed, 16)
                if said:
                    add(at, cell(pictures, "line", at), DAMAGED, f": {said}")
                    good[at] = False
            contents = _same(digests, pictures)
        picture, told = numbers(rows, "picture"), numbers(rows, "split")
        kept = good[picture]
        splits, clash = split_rows(contents[picture], told, kept, listed)
        for row in np.flatnonzero(clash).tolist():
            both = f"{SPLITS[told[row]]} and, before, in {SPLITS[splits[row]]}"
            line = cell(mapped(rows), "line", row)
            add(int(picture[row]), line, TWICE, f" is told to be in {both}")
    # A row that contradicts its picture's split is kept: a request may ask for it.
    np.save(entry / "kept.npy", np.flatnonzero(kept).astype(np.int32))
    np.save(entry / "splits.npy", splits)
    np.save(entry / "contents.npy", contents)
    np.save(entry / "hashes.npy", hashes)
    first = next(read_problems(entry / "problems.csv"), None)
    passed_over = about["passed_over"]
    report = {
        "form": about["what"],
        "rows": about["rows"],
        "pictures": len(pictures),
        "kept": int((kept & ~clash).sum()),
        "splits": {name: int((splits[kept] == at).sum()) for at, name in enumerate(SPLITS)},
        "counts": problems.counts,
        "first": first,
        "passed_over": passed_over["counts"],
        "first_passed_over": passed_over["first"],
    }
    write_json(entry / "report.json", report)
    shutil.rmtree(entry / "saved", ignore_errors=True)


def _same(digests: np.ndarray, pictures: Any) -> np.ndarray:
    """Return for each picture the one with equal pixels and the smallest path.

    Args:
        digests: uint64, shape (pictures,): equal for pictures with equal pixels.
        pictures: the table with their paths.

    Returns:
        Picture numbers, int32, shape (pictures,).
    """
    contents = np.arange(len(digests), dtype=np.int32)
    order = np.argsort(digests, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(digests[order]) != 0, True)) + 1
    starts = np.append(0, ends[:-1])
    for first, end in zip(*(edge[ends - starts > 1] for edge in (starts, ends)), strict=True):
        alike = order[first:end]
        paths = {cell(pictures, "path", int(at)): at for at in alike}
        contents[alike] = paths[min(paths)]
    return contents


def _decoded(
    form: Form, pictures: Path, good: np.ndarray, entry: Path
) -> Iterator[tuple[str, str, str]]:
    """Yield each picture's hash, problem and perceptual hash; empty without a file.

    Progress is saved in `entry`, from where an interrupted run resumes.
    """

    def check(one: tuple[Spot, bool]) -> tuple[str, str, str]:
        return _digest(form.root, one[0]) if one[1] else ("", "", "")

    start = 0
    with progress_bar("checking pictures", "picture", len(good), show=form.progress) as bar:
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


def _digest(root: Path, spot: Spot) -> tuple[str, str, str]:
    """Return the hash of a picture's pixels, its problem, and its perceptual hash."""
    try:
        picture = decode(content(root, spot))
    except (OSError, ValueError) as error:
        return "", reason(error), ""
    pixels = hashlib.blake2b(repr(picture.size).encode(), digest_size=16)
    pixels.update(picture.tobytes())
    return pixels.hexdigest(), "", f"{difference_hash(picture):x}"
