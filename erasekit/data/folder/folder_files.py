"""The files of a user's folder: where its data begins, and which file a written name means."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from erasekit.data.folder.columns import Columns
from erasekit.data.folder.split_names import split_of, splits_of
from erasekit.errors import UsageError
from erasekit.text import composed, folded, shown

#: Ends of file names that are taken for pictures.
PICTURES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif"),
)
#: What a text may not hold: a NUL, a mark that another program put for what it could not read,
#: bytes that are no UTF-8.
BROKEN = re.compile("[\x00\ufffd\ud800-\udfff]")
# Names of folders that say what is in them, not what is on the pictures: img, Flicker8k_Dataset.
_GENERIC = re.compile(
    r"(.*[-_ ])?(images|imgs|pictures|photos|data|dataset)"
    r"|(jpeg|jpg|png|raw)?images?|img|pics|files|annotations|captions|metadata"
)
# Files that describe a folder and hold none of its data.
_NOTES = re.compile(
    r"(readme|licen[cs]e|copying|citation|changelog|dataset_infos?\.json|thumbs\.db|desktop\.ini"
    r"|sha256sums|md5sums|state\.json).*|.*\.(md|pdf|html?|rtf|log|py|ipynb|sh|lock)",
    re.IGNORECASE,
)


def is_picture(name: str) -> bool:
    """Whether a file is taken for a picture, by its name."""
    return name.lower().endswith(PICTURES)


def is_note(name: str) -> bool:
    """Whether a file describes a folder, by its name."""
    return _NOTES.fullmatch(name) is not None


def is_generic(name: str) -> bool:
    """Whether a folder's name says only that it holds pictures or texts."""
    return _GENERIC.fullmatch(name.strip().lower()) is not None


def within(root: Path, path: Path) -> bool:
    """Whether a path, its links followed, lies in a folder."""
    return path.resolve().is_relative_to(root)


@dataclass(frozen=True)
class Folder:
    """A user's folder.

    Attributes:
        root: as it was given, without links. Paths are told from here, and nothing outside is read.
        base: the folder in it where the data begins: `root`, or what wraps the data alone.
        columns: that the user named.
        progress: show a bar where it takes long.
    """

    root: Path
    base: Path
    columns: Columns = field(default_factory=Columns)
    progress: bool = True

    @classmethod
    def of(cls, root: Path, columns: Columns, progress: bool) -> Folder:
        """A folder whose wrapping folders are looked through.

        Raises:
            UsageError: for a hub cache of which it is not clear which snapshot counts.
            OSError: when it cannot be read.
        """
        base = root
        while inner := _snapshot(base) or _wrapped(base):
            base = inner
        return cls(root, base, columns, progress)

    def path(self, file: Path) -> str:
        """The path of a file from the root."""
        return file.relative_to(self.root).as_posix()

    def files(self) -> Iterator[str]:
        """The paths of all files below the base, in order. Links to folders are not followed."""
        return self.files_below(self.base)

    def files_below(self, folder: Path) -> Iterator[str]:
        """The paths of all files below a folder in this one, as `files`."""
        start = len(f"{self.root}{os.sep}")  # a Path for each would take longer than the look
        return (file[start:].replace(os.sep, "/") for file in _below(str(folder)))

    @cached_property
    def names(self) -> str:
        """A hash of the paths of all pictures below the base."""
        found = hashlib.sha256()
        for path in filter(is_picture, self.files()):
            found.update(path.encode(errors="surrogateescape") + b"\0")
        return found.hexdigest()

    @cached_property
    def splits(self) -> dict[str, str]:
        """The split of each folder in the base, if all of them are called after one."""
        names = [each.name for each in folders_in(self.base)]
        splits = splits_of([split_of(name) for name in names])
        return dict(zip(names, splits, strict=True)) if all(splits) else {}

    def split(self, path: str) -> str:
        """The split that the folder of a file is called after; empty where it is not."""
        if not self.splits:
            return ""
        prefix = "" if self.base == self.root else f"{self.path(self.base)}/"
        return self.splits.get(path.removeprefix(prefix).partition("/")[0], "")

    def named(self, written: str, beside: str = "") -> str:
        """The path of the file that a table means.

        It is looked for beside the table first, then as the end of any picture's path; slashes
        and backslashes are the same, and so are the Unicode forms of a letter. Letters may be
        larger or smaller if no other file has the name.

        Args:
            written: in the table.
            beside: the path of the table's folder.

        Returns:
            the path from the root; if there is no such file, what it would be.

        Raises:
            ValueError: when it could be one of several files; names two of them.
        """
        written = written.strip().removeprefix(f"{self.root}/")
        if not written or BROKEN.search(written) or re.match(r"/|\\|[A-Za-z]:[\\/]", written):
            return posixpath.normpath(written) if written else ""
        turned = written.replace("\\", "/")
        paths = [posixpath.normpath(posixpath.join(beside, each)) for each in (written, turned)]
        for path in paths[: 1 + (turned != written)]:
            if os.path.lexists(f"{self.root}/{path}"):
                return path
        end = "/" + posixpath.normpath(turned)
        for form in (composed, folded):
            found = [
                path
                for path in self._by_name.get(folded(posixpath.basename(end)), ())
                if form(f"/{path}").endswith(form(end))
            ]
            if found:
                break
        if len(found) > 1:
            raise ValueError(
                f"{shown(written)} could be {shown(found[0])} or {shown(found[1])}: "
                "write its whole path in the folder"
            )
        return found[0] if found else paths[0]

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """The paths of all pictures by their last part, in small letters."""
        found = defaultdict(list)
        for path in filter(is_picture, self.files()):
            found[folded(posixpath.basename(path))].append(path)
        return found


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, without those that the system or a packer made."""
    return sorted(
        each for each in folder.iterdir() if each.is_dir() and not each.name.startswith((".", "__"))
    )


def _below(folder: str) -> Iterator[str]:
    """Files below a folder. A link to a folder in it is told as a file, and not followed."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path)
        else:
            yield entry.path


def _wrapped(folder: Path) -> Path | None:
    """The only folder in a folder, if nothing else is there and its name tells nothing."""
    inner = folders_in(folder)
    others = any(
        not each.is_dir() and not each.name.startswith(".") and not is_note(each.name)
        for each in folder.iterdir()
    )
    if len(inner) != 1 or others or inner[0].is_symlink() or split_of(inner[0].name):
        return None
    holds = list(inner[0].iterdir())
    # A folder with pictures is a class, unless it is called images or the like.
    data = is_generic(inner[0].name) or not any(is_picture(each.name) for each in holds)
    return inner[0] if data and holds else None


def _snapshot(folder: Path) -> Path | None:
    """Where a folder of the hub's cache has its files: links to blobs in the same folder."""
    snapshots = folder / "snapshots"
    if not ((folder / "blobs").is_dir() and snapshots.is_dir()):
        return None
    found = folders_in(snapshots)
    main = folder / "refs" / "main"
    if main.is_file():
        named = main.read_text(encoding="utf-8", errors="replace").strip()
        found = [each for each in found if each.name == named] or found
    if len(found) != 1:
        raise UsageError(
            f"{folder} is a cache of the hub with {len(found)} snapshots: give one of them a "
            "folder of its own, with copies of the files"
        )
    return found[0]
