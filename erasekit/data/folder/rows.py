"""Rows of a folder of pairs, and what every form of such a folder must be able to do."""

from __future__ import annotations

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

#: Characters of a text.
MOST_TEXT = 100_000
# Lines of one file: a row's line is stored with the number of its file above it.
_LINES = 2**40


class Row(NamedTuple):
    """One row as it is told: what stands in the columns, and where its picture lies in a file."""

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
        folder: where it was found.
        files: what `find` found in it.
        name: how the form is called in `forms.FORMS`.
        repeats_pictures: whether several rows may show one picture.
        own_files: whether each picture is a file of its own.
    """

    folder: Folder
    files: tuple[Path, ...]

    name: ClassVar[str]
    repeats_pictures: ClassVar[bool] = False
    own_files: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def find(cls, folder: Folder) -> tuple[Path, ...]:
        """The files or folders that hold the rows; empty when a folder is of another form.

        Raises:
            UsageError: when it is of this form, and cannot be read for all that.
        """

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
    def place(tables: Sequence[str], line: int, path: str) -> str:
        """Where a row comes from, in words.

        Args:
            tables: the paths of `files`.
            line: that the row was given; see `numbered`.
            path: of its picture.
        """

    @property
    def root(self) -> Path:
        """The folder as it was given; paths are told from here."""
        return self.folder.root

    @property
    def progress(self) -> bool:
        """Show a bar where it takes long."""
        return self.folder.progress

    @property
    def what(self) -> str:
        """The form in words."""
        return f"the {self.name}"

    @cached_property
    def notes(self) -> list[str]:
        """What `rows` found out of the form: separators, encodings, columns."""
        return []

    @cached_property
    def tables(self) -> list[str]:
        """The paths of `files`."""
        return [self.folder.path(file) for file in self.files]

    def called(self) -> list[str]:
        """The split that each of `files` is called after, or lies in the folder of; or empty."""
        above = (
            split_of(f.parent.name) if f.parent != self.folder.base else "" for f in self.files
        )
        return [a or split_in(f.stem) for a, f in zip(above, self.files, strict=True)]

    @cached_property
    def splits(self) -> list[str]:
        """The split of what is in each of `files`, where a cell of a row tells no other."""
        told = self.called()
        found = splits_of(told)
        if any(told) and not any(found):
            self.notes.append(f"all of it is called {max(told)}, and divided into splits by hash")
        return found

    def passed_over(self, pictures: Container[str]) -> Iterator[str]:
        """Paths of the files that were not read.

        Args:
            pictures: that rows show.
        """
        return (p for p in self.folder.files() if is_picture(p) and p not in pictures)

    def where(self, line: int, path: str) -> str:
        """Where a row comes from, in words."""
        return self.place(self.tables, line, path)


def numbered(table: int, line: int) -> int:
    """The line of a row in one of several files, as one number."""
    return table * _LINES + line


def table_and_line(tables: Sequence[str], number: int) -> tuple[str, int]:
    """The file and the line that `numbered` was given."""
    table, line = divmod(number, _LINES)
    return tables[table], line


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
    if row.split and not split_of(row.split):
        yield SPLIT, str(unknown("split", shown(row.split), SPLITS))
    if not row.image:
        yield MISSING, "no picture is named"
    elif row.image.startswith("/") or row.image[:1] == "\\" or row.image[1:3] in (":\\", ":/"):
        yield OUTSIDE, f"{shown(row.image)} is absolute: a path begins in the folder"
    elif row.image.split("/")[0] == "..":
        yield OUTSIDE, f"{shown(row.image)} leaves the folder"
