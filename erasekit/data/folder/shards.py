"""Webdataset shards: tar files in which members with the same key form a sample."""

from __future__ import annotations

import os
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from erasekit.data.folder.folder_files import PICTURES, Folder, within
from erasekit.data.folder.problems import MISSING, OUTSIDE, ROW, SHARD, Problem
from erasekit.data.folder.rows import Form, Row
from erasekit.data.folder.sample_parts import (
    MOST_BYTES,
    caption_of,
    check_one_sample,
    chosen_part,
)
from erasekit.data.folder.spots import sample_key, shard_and_member
from erasekit.errors import reason
from erasekit.progress import progress_bar
from erasekit.text import shown


class Shards(Form):
    """``*.tar`` or ``shards/*.tar`` with ``KEY.jpg`` and ``KEY.txt``, optionally ``KEY.json``."""

    name = "shards"
    own_files = False

    @classmethod
    def find(cls, folder: Folder) -> tuple[Path, ...]:
        return tuple(sorted([*folder.base.glob("*.tar"), *folder.base.glob("*/*.tar")]))

    def recipe(self) -> Any:
        times = [(file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        names = list(map(shown, self.tables))
        files = list(zip(names, times, strict=True))
        return {"form": self.name, "files": files, "caption": self.folder.columns.caption}

    def rows(self) -> Iterator[Row | Problem]:
        with progress_bar("reading shards", "shard", len(self.files), show=self.progress) as bar:
            for shard, split in zip(self.files, self.splits, strict=True):
                yield from self._rows_of(shard, split)
                bar.update(1)

    @staticmethod
    def place(tables: Sequence[str], line: int, path: str) -> str:
        shard, member = shard_and_member(path)
        return f"shard {shown(shard)}, key {shown(sample_key(member))}"

    def _rows_of(self, shard: Path, split: str) -> Iterator[Row | Problem]:
        name = self.folder.path(shard)
        if not within(self.root, shard):
            yield Problem(f"shard {shown(name)}", OUTSIDE, "it is a link out of the folder")
            return
        try:
            with shard.open("rb") as file:
                for members in _samples(file):
                    row = _sample(file, f"{name}/", members, self.folder.columns.caption)
                    told = isinstance(row, Problem) or row.split or not split
                    yield row if told else row._replace(split=split)
        except (tarfile.TarError, OSError) as error:
            yield Problem(f"shard {shown(name)}", SHARD, f"it cannot be read on: {reason(error)}")


def _samples(file: BinaryIO) -> Iterator[list[tarfile.TarInfo]]:
    """Yield the members of each sample of a shard.

    Raises:
        TarError: after the last intact sample, if the shard is damaged.
    """
    together: list[tarfile.TarInfo] = []
    damage = None
    try:
        for member in _members(file):
            if together and sample_key(member.name) != sample_key(together[0].name):
                yield together
                together = []
            together.append(member)
    except tarfile.TarError as error:
        damage = error
    if together:
        yield together
    if damage is not None:
        raise damage


def _members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yield the files in a shard. Raises as `_samples`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # tarfile would keep them all
            if member.offset_data + member.size > size:
                raise tarfile.ReadError("it ends too early")
            # Files of archivers and desktops, not parts of a sample.
            aside = re.match(r"\.|__\w+__\.json$", posixpath.basename(member.name))
            if member.isreg() and not member.issparse() and not aside:
                yield member
        # tarfile treats an unreadable header as the end.
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError("a header is damaged")


def _sample(
    file: BinaryIO, prefix: str, members: Sequence[tarfile.TarInfo], caption: str
) -> Row | Problem:
    """Return the members with one key as a row."""
    key = sample_key(members[0].name)
    parts = {member.name[len(key) + 1 :].lower(): member for member in members}
    where = Shards.place((), -1, prefix + key)
    try:
        picture = chosen_part(parts, PICTURES, "picture")
        check_one_sample(parts, picture, PICTURES)
        readers = {part: _reader(file, member) for part, member in parts.items()}
        told = caption_of(readers, caption)
    except LookupError as error:
        return Problem(where, MISSING, str(error))
    except ValueError as error:
        return Problem(where, ROW, str(error))
    spot = parts[picture]
    at: dict[str, Any] = {"offset": spot.offset_data, "length": spot.size}
    return Row(prefix + spot.name, **told, **at)


def _reader(file: BinaryIO, member: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        if member.size > MOST_BYTES:
            raise ValueError(f"{shown(member.name)} has {member.size:,} bytes, too many for a text")
        file.seek(member.offset_data)
        return file.read(member.size)

    return read
