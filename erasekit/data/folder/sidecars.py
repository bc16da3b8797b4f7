"""Pictures with captions in files of the same name."""

from __future__ import annotations

import hashlib
import posixpath
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any

from erasekit.data.folder.folder_files import Folder, is_picture, within
from erasekit.data.folder.problems import MISSING, OUTSIDE, ROW, Problem
from erasekit.data.folder.rows import Form, Row
from erasekit.data.folder.sample_parts import CAPTIONS, MOST_BYTES, caption_of
from erasekit.text import shown


class Sidecars(Form):
    """``apple.jpg`` beside ``apple.txt``, ``apple.caption`` or ``apple.json``."""

    name = "sidecars"

    @classmethod
    def find(cls, folder: Folder) -> tuple[Path, ...]:
        return (folder.base,) if any(parts for _, parts in _pictures(folder)) else ()

    def recipe(self) -> Any:
        found = hashlib.sha256()
        for path in self.folder.files():
            text = path.lower().endswith((*CAPTIONS, ".json"))
            about = (self.root / path).lstat() if text else None
            state = (about.st_size, about.st_mtime_ns) if about else ""
            found.update(f"{path}\0{state}\0".encode(errors="surrogateescape"))
        caption = self.folder.columns.caption
        return {"form": self.name, "sha256": found.hexdigest(), "caption": caption}

    @staticmethod
    def place(tables: Sequence[str], line: int, path: str) -> str:
        return f"file {shown(path)}"

    @property
    def what(self) -> str:
        return "a caption in a file beside each picture"

    def rows(self) -> Iterator[Row | Problem]:
        for path, parts in _pictures(self.folder):
            where = self.where(-1, path)
            if not parts:
                name = posixpath.basename(posixpath.splitext(path)[0])
                yield Problem(where, MISSING, f"no caption lies beside it, as {shown(name)}.txt")
                continue
            try:
                readers = {part: self._reader(file) for part, file in parts.items()}
                told = caption_of(readers, self.folder.columns.caption)
            except LookupError as error:
                yield Problem(where, MISSING, str(error))
            except PermissionError as error:
                yield Problem(where, OUTSIDE, str(error))
            except (ValueError, OSError) as error:
                yield Problem(where, ROW, str(error))
            else:
                split = told["split"] or self.folder.split(path)
                yield Row(path, told["caption"], told["concept"], told["group"], split)

    def passed_over(self, pictures: Container[str]) -> Iterator[str]:
        used = {file for _, parts in _pictures(self.folder) for file in parts.values()}
        return (p for p in self.folder.files() if not is_picture(p) and p not in used)

    def _reader(self, path: str) -> Callable[[], bytes]:
        def read() -> bytes:
            file = self.root / path
            if not within(self.root, file):
                raise PermissionError(f"{shown(path)} is a link out of the folder")
            if not file.is_file():
                raise ValueError(f"{shown(path)} is no file")
            with file.open("rb") as opened:
                held = opened.read(MOST_BYTES + 1)
            if len(held) > MOST_BYTES:
                raise ValueError(f"{shown(path)} is too long for a caption")
            return held

        return read


def _pictures(folder: Folder) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each picture with the files that share its name, by extension."""
    for paths in _by_folder(folder):
        beside = defaultdict(dict)
        for path in paths:
            stem, ending = posixpath.splitext(path)
            if ending.lower() in (*CAPTIONS, ".json"):
                beside[stem][ending[1:].lower()] = path
        for path in filter(is_picture, paths):
            # apple.txt, or apple.jpg.txt as written by some programs
            yield path, {**beside[posixpath.splitext(path)[0]], **beside[path]}


def _by_folder(folder: Folder) -> Iterator[list[str]]:
    """Yield the files of each folder below a folder."""
    found = defaultdict(list)
    for path in folder.files():
        found[posixpath.dirname(path)].append(path)
    yield from found.values()
