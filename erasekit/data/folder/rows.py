"""Rows of a folder of pairs, and what every form of such a folder must be able to do."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from erasekit.data.folder.problems import EMPTY, ENCODING, MISSING, OUTSIDE, ROW, SPLIT, Problem
from erasekit.data.worlds import SPLITS
from erasekit.errors import unknown
from erasekit.text import shown

#: Columns of a table that must be there, and that may be.
NEEDED, OPTIONAL = ("image", "caption"), ("concept", "group", "split")
#: Ends of file names that are taken for pictures.
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
#: What a text may not hold: a NUL, a mark that another program put for what it could not read,
#: bytes that are no UTF-8.
BROKEN = re.compile("[\x00\ufffd\ud800-\udfff]")
#: Characters of a text.
MOST_TEXT = 100_000


class Row(NamedTuple):
    """One row as it is told: what stands in the columns, and where its picture lies in a shard."""

    image: str
    caption: str
    concept: str = ""
    group: str = ""
    split: str = ""
    line: int = -1
    offset: int = -1
    length: int = 0


@dataclass(frozen=True)
class Form(ABC):
    """One form that a folder of pairs may have. A subclass reads it; `forms.FORMS` lists them.

    Attributes:
        root: the folder, without links.
        files: what `find` found in it.
        progress: show a bar where it takes long.
        name: how the form is called in `forms.FORMS`.
        repeats_pictures: whether several rows may show one picture.
        own_files: whether each picture is a file of its own.
    """

    root: Path
    files: tuple[Path, ...]
    progress: bool = True

    name: ClassVar[str]
    repeats_pictures: ClassVar[bool] = False
    own_files: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def find(cls, root: Path) -> tuple[Path, ...]:
        """The files or folders that hold the rows; empty when a folder is of another form."""

    @abstractmethod
    def rows(self) -> Iterator[Row | Problem]:
        """Every row in its order, or the problem that stands in its place.

        Raises:
            UsageError: when a table lacks a column that it needs.
            RunError: when it is damaged as a whole.
        """

    @abstractmethod
    def recipe(self) -> Any:
        """What decides the rows, so that JSON can hold it: another value is read anew."""

    @staticmethod
    @abstractmethod
    def place(table: str, line: int, path: str) -> str:
        """Where a row comes from, in words, by the name of the first of `files`."""

    @property
    def what(self) -> str:
        """The form in words."""
        return f"the {self.name}"

    def ignored(self) -> int:
        """How many files are no pictures by their names, and are passed over."""
        return 0

    def where(self, line: int, path: str) -> str:
        """Where a row comes from, in words."""
        return self.place(self.files[0].name, line, path)


def is_picture(name: str) -> bool:
    """Whether a file is taken for a picture, by its name."""
    return name.lower().endswith(PICTURES)


def within(root: Path, path: Path) -> bool:
    """Whether a path, its links followed, lies in a folder."""
    return path.resolve().is_relative_to(root)


def faults(row: Row) -> Iterator[tuple[str, str]]:
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
