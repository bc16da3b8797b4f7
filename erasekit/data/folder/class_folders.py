"""A folder for each class: its name is the concept and the caption of every picture in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from erasekit.data.folder.problems import Problem
from erasekit.data.folder.rows import Form, Row, is_picture
from erasekit.data.worlds import SPLITS
from erasekit.errors import unknown
from erasekit.text import shown


class ClassFolders(Form):
    """``CLASS/*.jpg``, or ``train/CLASS/*.jpg`` and the like."""

    name = "classes"

    @classmethod
    def find(cls, root: Path) -> tuple[Path, ...]:
        """The class folders, those of the splits one split after the other."""
        folders = _folders(root)
        splits = [each for each in folders if each.name in SPLITS and _folders(each)]
        for each in folders:
            if splits and each not in splits:
                hint = f"Beside {splits[0].name}/CLASS there may be other splits alone"
                raise unknown(f"split folder in {root}", each.name, SPLITS, hint)
        return tuple([inner for each in splits for inner in _folders(each)] or folders)

    def recipe(self) -> Any:
        found = hashlib.sha256()
        for row in self._files():
            found.update(row.image.encode(errors="surrogateescape") + b"\0")
        return {"form": self.name, "sha256": found.hexdigest()}

    def rows(self) -> Iterator[Row | Problem]:
        return (row for row in self._files() if is_picture(row.image))

    def ignored(self) -> int:
        return sum(not is_picture(row.image) for row in self._files())

    @staticmethod
    def place(table: str, line: int, path: str) -> str:
        return f"file {shown(path)}"

    def _files(self) -> Iterator[Row]:
        """Every file below the class folders, in order."""
        for folder in self.files:
            above = folder.parent.relative_to(self.root).as_posix()
            name = folder.name.replace("_", " ").strip()
            for file in _files(folder):
                image = file.relative_to(self.root).as_posix()
                yield Row(image, name, name, split="" if above == "." else above)


def _folders(folder: Path) -> list[Path]:
    return sorted(
        each for each in folder.iterdir() if each.is_dir() and not each.name.startswith((".", "__"))
    )


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
