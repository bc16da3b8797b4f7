"""Problems of rows, and the CSV file that lists them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

#: Kinds of problems.
MISSING, OUTSIDE, ROW = "missing file", "path outside the folder", "unreadable row"
SHARD, DAMAGED, EMPTY = "damaged shard", "damaged picture", "empty caption"
ENCODING, SPLIT, TWICE = "wrong encoding", "unknown split", "same picture in two splits"
# How to fix each kind.
_MENDS = {
    MISSING: "put the file where the row says, or correct the row",
    OUTSIDE: "copy the file into the folder and name it by its path there, or give a folder that "
    "holds both",
    ROW: "correct the row",
    SHARD: "copy or download the shard again",
    DAMAGED: "save the picture again as JPEG or PNG, or replace it",
    EMPTY: "write a caption",
    ENCODING: "save the file as UTF-8",
    SPLIT: "write train, validation or test",
    TWICE: "give all copies of a picture the same split; skip_bad takes the first",
}


class Problem(NamedTuple):
    """A problem of a row."""

    place: str  #: description of the row
    kind: str
    said: str  #: description of the problem

    @property
    def mend(self) -> str:
        """How to fix it, if the row is not to be skipped."""
        return _MENDS.get(self.kind, "correct the row")


class ProblemFile:
    """Writer of a file of problems, with their number by kind.

    Args:
        path: path of the file; an existing file with `counts` is extended.
        counts: number of problems in it, by kind.
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


def read_problems(path: Path) -> Iterator[Problem]:
    """Yield every problem in a file."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        next(lines)
        yield from (Problem(*line) for line in lines)
