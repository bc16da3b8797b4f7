"""Captions of many pictures in one JSON file: COCO, the Karpathy split, and plain lists."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from erasekit.data.folder.folder_files import Folder, is_note, is_picture
from erasekit.data.folder.problems import ROW, Problem
from erasekit.data.folder.rows import Form, Row, numbered, table_and_line
from erasekit.data.folder.table_form import check_inside, check_which, pairs_of
from erasekit.errors import RunError, UsageError, reason
from erasekit.files import sha256_file
from erasekit.text import shown

# Caption files contain one of these keys, other annotation files none.
_KEYS = (b"caption", b"captions", b"sentences", b"text")
# The first key of an object.
_FIRST = re.compile(rb'\s*\{\s*"([^"]{1,500})"')


class CaptionJson(Form):
    """``annotations/captions_train2017.json``, ``dataset_coco.json`` or a list of pairs."""

    name = "json"
    repeats_pictures = True

    @classmethod
    def find(cls, folder: Folder) -> tuple[Path, ...]:
        files = [f for place in ("*", "annotations/*") for f in folder.base.glob(f"{place}.json")]
        pictures = [path for path in folder.base.iterdir() if is_picture(path.name)]
        beside = {*pictures, *(path.with_suffix("") for path in pictures)}  # for one picture each
        keys = [*_KEYS, folder.columns.caption.encode() or _KEYS[0]]
        found = [
            file
            for file in sorted(files)
            if file.with_suffix("") not in beside
            and not is_note(file.name)
            and _has_captions(file, keys)
        ]
        check_which(folder, found)
        return tuple(found)

    def recipe(self) -> Any:
        hashes = [sha256_file(file) for file in self.files]
        return {
            "form": self.name,
            "files": list(zip(map(shown, self.tables), hashes, strict=True)),
            "columns": [self.folder.columns.image, self.folder.columns.caption],
            "pictures": self.folder.names,
        }

    @staticmethod
    def place(tables: Sequence[str], line: int, path: str) -> str:
        file, at = table_and_line(tables, line)
        return f"{file}, entry {at}"

    @property
    def what(self) -> str:
        return ", ".join(map(shown, self.tables))

    def rows(self) -> Iterator[Row | Problem]:
        for number, file in enumerate(self.files):
            told = self.tables[number]
            check_inside(self.folder, file)
            try:
                value = json.loads(file.read_bytes())
            except UnicodeDecodeError as error:
                raise UsageError(f"{told} is not in UTF-8: save it as UTF-8") from error
            except (ValueError, RecursionError) as error:
                raise UsageError(f"{told} is damaged ({reason(error)}): write it again") from error
            except OSError as error:
                raise RunError(f"{told} cannot be read: {reason(error)}") from error
            kind, entries = self._entries(value, told)
            if kind not in self.notes:
                self.notes.append(kind)
            for at, cells in enumerate(entries):
                line = numbered(number, at)
                try:
                    if isinstance(cells, str):
                        raise ValueError(cells)
                    yield from pairs_of(self.folder, cells, told, line, self.splits[number])
                except ValueError as error:
                    yield Problem(self.where(line, ""), ROW, str(error))

    def _entries(self, value: Any, told: str) -> tuple[str, Iterator[dict[str, Any] | str]]:
        """Return a file's layout and its entries by role, or a message for a bad entry."""
        if isinstance(value, dict) and _objects(value.get("images")):
            if _objects(value.get("annotations")) and any(
                "caption" in each for each in value["annotations"]
            ):
                return "COCO", _coco(value)
            if any("sentences" in image for image in value["images"]):
                return "Karpathy split", map(_karpathy, value["images"])
        if isinstance(value, dict) and value and all(map(is_picture, value)):
            return "captions by picture", (_by_picture(*item) for item in value.items())
        if _objects(value):
            names = list(dict.fromkeys(name for entry in value for name in entry))
            roles = self.folder.columns.find(told, names)
            return "list of pairs", (
                {role: entry.get(name) for role, name in roles.items()} for entry in value
            )
        kinds = ", ".join(map(shown, list(value)[:9])) if isinstance(value, dict) else "no objects"
        raise UsageError(
            f"{told} has {kinds} in it: write COCO's images and annotations, or a list of objects "
            "with image and caption"
        )


def _coco(value: dict[str, Any]) -> Iterator[dict[str, Any] | str]:
    files = {str(image.get("id")): image.get("file_name") for image in value["images"]}
    for annotation in value["annotations"]:
        if "caption" not in annotation:
            yield f"an annotation without a caption; it has {', '.join(map(shown, annotation))}"
        elif (name := files.get(str(annotation.get("image_id")))) is None:
            yield f"no image has the id {shown(str(annotation.get('image_id')))}"
        else:
            yield {"image": name, "caption": annotation["caption"]}


def _karpathy(image: dict[str, Any]) -> dict[str, Any] | str:
    name, above = image.get("filename"), image.get("filepath")
    sentences = image.get("sentences")
    if not isinstance(name, str) or sentences is None or not _objects(sentences):
        return "no filename or no sentences"
    path = f"{above}/{name}" if isinstance(above, str) and above else name
    raw = [each.get("raw") for each in sentences]
    return {"image": path, "caption": raw, "split": image.get("split")}


def _by_picture(name: str, told: Any) -> dict[str, Any]:
    caption = told.get("caption") if isinstance(told, dict) else told
    return {"image": name, "caption": caption}


def _objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _has_captions(file: Path, keys: Sequence[bytes]) -> bool:
    """Whether a file seems to have captions, without reading all of it."""
    if not file.is_file() or not file.stat().st_size:
        return False
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as held:
        first = _FIRST.match(held)
        by_picture = first is not None and is_picture(first[1].decode(errors="replace"))
        return by_picture or any(held.find(b'"%b"' % key) >= 0 for key in keys)
