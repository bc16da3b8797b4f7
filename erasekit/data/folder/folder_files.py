"""Files of a user's folder: where its data start, and which file a name refers to."""

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

#: Extensions of picture files.
PICTURES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif"),
)
#: Invalid characters in a text: NUL, the replacement character, and surrogates (invalid UTF-8).
BROKEN = re.compile("[\x00\ufffd\ud800-\udfff]")
# Folder names that say nothing about the pictures' content: img, Flicker8k_Dataset.
_GENERIC = re.compile(
    r"(.*[-_ ])?(images|imgs|pictures|photos|data|dataset)"
    r"|(jpeg|jpg|png|raw)?images?|img|pics|files|annotations|captions|metadata"
)
# Files that describe a folder and contain no data.
_NOTES = re.compile(
    r"(readme|licen[cs]e|copying|citation|changelog|dataset_infos?\.json|thumbs\.db|desktop\.ini"
    r"|sha256sums|md5sums|state\.json).*|.*\.(md|pdf|html?|rtf|log|py|ipynb|sh|lock)",
    re.IGNORECASE,
)


def is_picture(name: str) -> bool:
    """Whether a file is a picture, by its name."""
    return name.lower().endswith(PICTURES)


def is_note(name: str) -> bool:
    """Whether a file describes a folder, by its name."""
    return _NOTES.fullmatch(name) is not None


def is_generic(name: str) -> bool:
    """Whether a folder's name only says that it holds pictures or texts."""
    return _GENERIC.fullmatch(name.strip().lower()) is not None


def within(root: Path, path: Path) -> bool:
    """Whether a path, with links resolved, is in a folder."""
    return path.resolve().is_relative_to(root)


@dataclass(frozen=True)
class Folder:
    """A user's folder.

    Attributes:
        root: the given folder, with links resolved. Paths are relative to it, and nothing
            outside is read.
        base: the folder where the data start: `root`, or the innermost of its wrapping folders.
        columns: column names given by the user.
        progress: whether to show a bar for long operations.
    """

    root: Path
    base: Path
    columns: Columns = field(default_factory=Columns)
    progress: bool = True

    @classmethod
    def of(cls, root: Path, columns: Columns, progress: bool) -> Folder:
        """Open a folder and skip folders that only wrap the data.

        Raises:
            UsageError: for a hub cache with an ambiguous snapshot.
            OSError: when it cannot be read.
        """
        base = root
        while inner := _snapshot(base) or _wrapped(base):
            base = inner
        return cls(root, base, columns, progress)

    def path(self, file: Path) -> str:
        """Return the path of a file relative to the root."""
        return file.relative_to(self.root).as_posix()

    def files(self) -> Iterator[str]:
        """Yield the paths of all files below the base, in order. Folder links are not followed."""
        return self.files_below(self.base)

    def files_below(self, folder: Path) -> Iterator[str]:
        """Yield the paths of all files below a subfolder, as `files`."""
        start = len(f"{self.root}{os.sep}")  # creating a Path for each would take longer
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
        """The split of each folder in the base, if all folders are named after splits."""
        names = [each.name for each in folders_in(self.base)]
        splits = splits_of([split_of(name) for name in names])
        return dict(zip(names, splits, strict=True)) if all(splits) else {}

    def split(self, path: str) -> str:
        """Return the split that the folder of a file is named after; else empty."""
        if not self.splits:
            return ""
        prefix = "" if self.base == self.root else f"{self.path(self.base)}/"
        return self.splits.get(path.removeprefix(prefix).partition("/")[0], "")

    def named(self, written: str, beside: str = "") -> str:
        """Resolve a file name from a table.

        Searches beside the table first, then for a picture whose path ends with the name.
        Slashes and backslashes are equal, and so are the Unicode forms of a letter. Case is
        ignored if that is unambiguous.

        Args:
            written: the name in the table.
            beside: the path of the table's folder.

        Returns:
            The path relative to the root; for a missing file, the path it would have.

        Raises:
            ValueError: when several files match; names two of them.
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
        """The paths of all pictures by lower-case file name."""
        found = defaultdict(list)
        for path in filter(is_picture, self.files()):
            found[folded(posixpath.basename(path))].append(path)
        return found


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, without those of the system or an archiver."""
    return sorted(
        each for each in folder.iterdir() if each.is_dir() and not each.name.startswith((".", "__"))
    )


def _below(folder: str) -> Iterator[str]:
    """Yield the files below a folder. A link to a folder counts as a file."""
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
    """Return the only subfolder, if the folder has no other content and its name is generic."""
    inner = folders_in(folder)
    others = any(
        not each.is_dir() and not each.name.startswith(".") and not is_note(each.name)
        for each in folder.iterdir()
    )
    if len(inner) != 1 or others or inner[0].is_symlink() or split_of(inner[0].name):
        return None
    holds = list(inner[0].iterdir())
    # A folder with pictures is a class, unless it has a generic name such as images.
    data = is_generic(inner[0].name) or not any(is_picture(each.name) for each in holds)
    return inner[0] if data and holds else None


def _snapshot(folder: Path) -> Path | None:
    """Return the snapshot of a hub cache folder: links to blobs in the same folder."""
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
