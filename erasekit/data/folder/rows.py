"""Rows of a folder of pairs, and the interface of the forms of such a folder."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from erasekit.data.folder.columns import NEEDED, OPTIONAL
from erasekit.data.folder.folder_files import BROKEN, Folder, is_picture
from erasekit.data.folder.problems import EMPTY, ENCODING, MISSING, OUTSIDE, ROW, SPLIT, Problem
from erasekit.data.folder.split_names import split_in, split_of, splits_of
from erasekit.data.worlds import SPLITS
from erasekit.errors import unknown
from erasekit.text import shown

#: Maximum number of characters of a text.
MOST_TEXT = 100_000
# Maximum number of lines per file: the file's number is stored above the line in one integer.
_LINES = 2**40


class Row(NamedTuple):
    """One row: the values of its columns, and the position of its picture in a file."""

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
    """Base of the forms of a folder of pairs; `forms.FORMS` lists the subclasses.

    Attributes:
        folder: the folder.
        files: result of `find` for this folder.
        name: name of the form in `forms.FORMS`.
        repeats_pictures: whether several rows may show one picture.
        own_files: whether each picture is a separate file.
    """

    folder: Folder
    files: tuple[Path, ...]

    name: ClassVar[str]
    repeats_pictures: ClassVar[bool] = False
    own_files: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def find(cls, folder: Folder) -> tuple[Path, ...]:
        """Find the files or folders with the rows; empty for a folder of another form.

        Raises:
            UsageError: when the folder has this form but cannot be read.
        """

    @abstractmethod
    def rows(self) -> Iterator[Row | Problem]:
        """Yield every row in order, or a problem in its place.

        Raises:
            UsageError: when a table lacks a required column.
            RunError: when a whole table is damaged.
        """

    @abstractmethod
    def recipe(self) -> Any:
        """Return JSON-serialisable values that determine the rows, as a cache key."""

    @staticmethod
    @abstractmethod
    def place(tables: Sequence[str], line: int, path: str) -> str:
        """Describe the source of a row.

        Args:
            tables: the paths of `files`.
            line: number of the row, see `numbered`.
            path: path of its picture.
        """

    @property
    def root(self) -> Path:
        """The given folder; paths are relative to it."""
        return self.folder.root

    @property
    def progress(self) -> bool:
        """Whether to show a bar for long operations."""
        return self.folder.progress

    @property
    def what(self) -> str:
        """Description of the form."""
        return f"the {self.name}"

    @cached_property
    def notes(self) -> list[str]:
        """Details that `rows` detected: separators, encodings, columns."""
        return []

    @cached_property
    def tables(self) -> list[str]:
        """The paths of `files`."""
        return [self.folder.path(file) for file in self.files]

    def called(self) -> list[str]:
        """The split that each of `files`, or its folder, is named after; or empty."""
        above = (
            split_of(f.parent.name) if f.parent != self.folder.base else "" for f in self.files
        )
        return [a or split_in(f.stem) for a, f in zip(above, self.files, strict=True)]

    @cached_property
    def splits(self) -> list[str]:
        """The default split of each of `files`, for rows that give none."""
        told = self.called()
        found = splits_of(told)
        if any(told) and not any(found):
            self.notes.append(f"all of it is called {max(told)}, and divided into splits by hash")
        return found

    def passed_over(self, pictures: Container[str]) -> Iterator[str]:
        """Yield the paths of the files that were not read.

        Args:
            pictures: pictures of the rows.
        """
        return (p for p in self.folder.files() if is_picture(p) and p not in pictures)

    def where(self, line: int, path: str) -> str:
        """Describe the source of a row."""
        return self.place(self.tables, line, path)


def numbered(table: int, line: int) -> int:
    """Encode the number of a file and a line in it as one integer."""
    return table * _LINES + line


def table_and_line(tables: Sequence[str], number: int) -> tuple[str, int]:
    """Decode the file and the line from the result of `numbered`."""
    table, line = divmod(number, _LINES)
    return tables[table], line


def faults(row: Row) -> Iterator[tuple[str, str]]:
    """Yield kind and message of each problem of a single row."""
    for name in (*NEEDED, *OPTIONAL):
        text = getattr(row, name)
        if BROKEN.search(text):
            said = "is not UTF-8, or was broken before: write it again in UTF-8"
            yield ENCODING, f"'{name}' {said}"
        elif len(text) > MOST_TEXT:
            yield ROW, f"'{name}' has {len(text):,} characters, more than {MOST_TEXT:,}"
    if all(sign.isspace() or unicodedata.category(sign) == "Cf" for sign in row.caption):
        yield EMPTY, "there is no caption"
    if row.split and not split_of(row.split):
        yield SPLIT, str(unknown("split", shown(row.split), SPLITS))
    if not row.image:
        yield MISSING, "no picture is named"
    elif row.image.startswith("/") or row.image[:1] == "\\" or row.image[1:3] in (":\\", ":/"):
        yield OUTSIDE, f"{shown(row.image)} is absolute: a path begins in the folder"
    elif row.image.split("/")[0] == "..":
        yield OUTSIDE, f"{shown(row.image)} leaves the folder"
