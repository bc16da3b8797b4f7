"""Pictures with captions in files of the same name."""

from __future__ import annotations

import hashlib
import posixpath
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import chain, product, zip_longest
from pathlib import Path
from typing import Any

from erasekit.data.folder.folder_files import Folder, is_picture, within
from erasekit.data.folder.problems import MISSING, OUTSIDE, ROW, Problem
from erasekit.data.folder.rows import Form, Row
from erasekit.data.folder.sample_parts import CAPTIONS, MOST_BYTES, caption_of
from erasekit.errors import UsageError
from erasekit.text import shown


class Sidecars(Form):
    """``apple.jpg`` beside ``apple.txt``, ``apple.caption`` or ``apple.json``.

    The texts may be in a separate folder: ``images/apple.jpg`` and ``captions/apple.txt``.
    """

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
                yield Problem(where, MISSING, f"there is no caption file such as {shown(name)}.txt")
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
                raise ValueError(f"{shown(path)} is not a file")
            with file.open("rb") as opened:
                held = opened.read(MOST_BYTES + 1)
            if len(held) > MOST_BYTES:
                raise ValueError(f"{shown(path)} is too long for a caption")
            return held

        return read


def _pictures(folder: Folder) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each picture with the files that share its name, by extension.

    Raises:
        UsageError: if the captions of a folder could belong to several folders of pictures.
    """
    paths = list(folder.files())
    texts = defaultdict(dict)
    for path in paths:
        stem, ending = posixpath.splitext(path)
        if ending.lower() in (*CAPTIONS, ".json"):
            texts[stem][ending[1:].lower()] = path
    pictures = list(filter(is_picture, paths))
    elsewhere = _folders_of_captions(pictures, texts)
    for path in pictures:
        home, name = posixpath.split(path)
        # apple.txt, or apple.jpg.txt as written by some programs
        place = posixpath.join(elsewhere.get(home, home), name)
        yield path, {**texts.get(posixpath.splitext(place)[0], {}), **texts.get(place, {})}


def _folders_of_captions(pictures: Iterable[str], texts: Iterable[str]) -> dict[str, str]:
    """Map each folder of pictures without texts to the folder of its texts."""
    shown_in, told_in = _by_folder(posixpath.splitext(p)[0] for p in pictures), _by_folder(texts)
    found: dict[str, str] = {}
    for ours, theirs in product(shown_in.keys() - told_in.keys(), told_in.keys() - shown_in.keys()):
        if not _beside(ours, theirs) or shown_in[ours].isdisjoint(told_in[theirs]):
            continue
        for one, other in found.items():
            twice = other == theirs and not shown_in[one].isdisjoint(shown_in[ours])
            if one == ours or twice:
                which, of = ({theirs, other}, ours) if one == ours else ({one, ours}, theirs)
                told = " and ".join(f"{shown(each)}/" for each in sorted(which))
                raise UsageError(
                    f"{told} could both belong to {shown(of)}/, by the names in them: leave one"
                )
        found[ours] = theirs
    return found


def _by_folder(paths: Iterable[str]) -> dict[str, set[str]]:
    """Return the names in each folder."""
    found = defaultdict(set)
    for path in paths:
        home, name = posixpath.split(path)
        found[home].add(name)
    return found


def _beside(one: str, other: str) -> bool:
    """Return whether two paths differ in exactly one component."""
    parts = list(zip_longest(one.split("/"), other.split("/")))
    return None not in chain(*parts) and sum(a != b for a, b in parts) == 1
