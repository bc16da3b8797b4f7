"""One folder per class: its name is the concept and the caption of every picture in it."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

from erasekit.data.folder.folder_files import (
    Folder,
    folders_in,
    is_generic,
    is_picture,
)
from erasekit.data.folder.problems import Problem
from erasekit.data.folder.rows import Form, Row
from erasekit.data.folder.split_names import split_of
from erasekit.data.worlds import SPLITS
from erasekit.errors import UsageError, unknown
from erasekit.text import shown


class ClassFolders(Form):
    """``CLASS/*.jpg``, or ``train/CLASS/*.jpg`` and the like."""

    name = "classes"

    @classmethod
    def find(cls, folder: Folder) -> tuple[Path, ...]:
        """Return the class folders, split by split."""
        folders = folders_in(folder.base)
        splits = [each for each in folders if split_of(each.name) and folders_in(each)]
        for each in folders:
            if splits and each not in splits:
                hint = f"Beside {splits[0].name}/CLASS there may be other splits alone"
                raise unknown(f"split folder in {folder.base}", each.name, SPLITS, hint)
        classes = [inner for each in splits for inner in folders_in(each)] or folders
        none = [each for each in classes if is_generic(each.name)]
        if not splits and all(split_of(each.name) for each in classes):
            none = classes
        if none:
            raise UsageError(
                f"{folder.path(none[0])} is not the name of a class, and what is in it has no "
                "captions: write pairs.csv with the columns image and caption, or give the folder "
                "in which the folders of the classes are"
            )
        return tuple(classes)

    def recipe(self) -> Any:
        found = hashlib.sha256()
        for row in self._files():
            found.update(row.image.encode(errors="surrogateescape") + b"\0")
        return {"form": self.name, "sha256": found.hexdigest()}

    def rows(self) -> Iterator[Row | Problem]:
        return (row for row in self._files() if is_picture(row.image))

    def passed_over(self, pictures: Container[str]) -> Iterator[str]:
        classes = tuple(f"{table}/" for table in self.tables)
        return (p for p in self.folder.files() if not (is_picture(p) and p.startswith(classes)))

    @staticmethod
    def place(tables: Sequence[str], line: int, path: str) -> str:
        return f"file {shown(path)}"

    @property
    def what(self) -> str:
        return f"the classes: {len(self.files)} folders, whose names are the captions"

    def called(self) -> list[str]:
        inside = [each for each in self.files if each.parent != self.folder.base]
        return [split_of(each.parent.name) for each in inside] or [""] * len(self.files)

    def _files(self) -> Iterator[Row]:
        """Yield every file below the class folders, in order."""
        for folder, split in zip(self.files, self.splits, strict=True):
            name = folder.name.replace("_", " ").strip()
            for path in self.folder.files_below(folder):
                yield Row(path, name, name, split=split)
