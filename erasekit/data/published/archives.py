"""Unpack an archive that somebody else made: inside its folder, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from erasekit.errors import ErasekitError, RunError, UsageError, reason
from erasekit.progress import progress_bar

if TYPE_CHECKING or sys.version_info >= (3, 12):
    import tarfile
else:  # that of 3.11 has no filter before 3.11.4, and some systems have no later one
    from backports import tarfile

# A picture does not shrink, and text does so some ten times; whatever grows more fills a disk.
_MOST_TIMES = 100
_ALWAYS_FINE = 64 << 20
_MOST_FILES = 2_000_000
# Two empty blocks end every tar.
_END = bytes(2 * tarfile.BLOCKSIZE)


def unpack(archive: Path, folder: Path, *, progress: bool = True) -> Path:
    """Unpack a tar, compressed or not, or a zip into a folder that is not there yet.

    A name that leads out of the folder, a link, a device, or contents far larger than the archive
    condemn all of it. The folder appears when everything is in it.

    Raises:
        UsageError: when the folder is there already.
        RunError: when the archive is missing, damaged, none, or not to be trusted, naming what in
            it; when the disk is full.
    """
    archive, folder = Path(archive), Path(folder)
    try:
        with (
            archive.open("rb") as file,
            whole_folder(folder) as aside,
            progress_bar(archive.name, "B", archive.stat().st_size, show=progress) as bar,
        ):
            zipped = file.read(2) == b"PK"
            file.seek(0)
            (_unpack_zip if zipped else _unpack_tar)(archive, file, aside, bar)
    except ErasekitError:
        raise
    except OSError as error:
        raise RunError(f"cannot unpack {archive}: {reason(error)}") from error
    except Exception as error:  # of many kinds, where bytes are damaged
        raise RunError(
            f"{archive} is damaged, or no tar or zip: {reason(error).rstrip(':')}"
        ) from error
    return folder


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends well and vanishes otherwise.

    Raises:
        UsageError: when the folder is there already.
        OSError: when it cannot be made.
    """
    folder = Path(folder)
    if folder.exists():
        raise UsageError(f"{folder} is there already: remove it, or give another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield aside
        aside.chmod(0o755)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unpack_tar(archive: Path, file: BinaryIO, folder: Path, bar: Any) -> None:
    growth = _Growth(archive)
    with tarfile.open(fileobj=file) as opened:
        for member in opened:
            if not (member.isfile() or member.isdir()):
                raise _untrusted(archive, member.name, "is a link or a device")
            _check_name(archive, member.name)
            growth.add(member.name, member.size)
            opened.extract(member, folder, filter="data")
            bar.update(file.tell() - bar.n)
        if opened.fileobj is file:  # compression notices an early end by itself
            check_end(file)


def check_end(file: BinaryIO) -> None:
    """See whether an open tar, not compressed, ends as it must: tarfile takes one that is cut.

    Raises:
        tarfile.ReadError: when it does not.
    """
    file.seek(0, io.SEEK_END)
    file.seek(max(0, file.tell() - len(_END)))
    if file.read() != _END:
        raise tarfile.ReadError("it ends early")


def _unpack_zip(archive: Path, file: BinaryIO, folder: Path, bar: Any) -> None:
    growth = _Growth(archive)
    with zipfile.ZipFile(file) as opened:
        for member in opened.infolist():
            # The kind of file stands in the upper half, where the archive was made on Unix.
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _untrusted(archive, member.filename, "is a link or a device")
            if member.flag_bits & 1:
                raise _untrusted(archive, member.filename, "is encrypted")
            _check_name(archive, member.filename)
            growth.add(member.filename, member.file_size)
            opened.extract(member, folder)
            bar.update(member.compress_size)


def _check_name(archive: Path, name: str) -> None:
    """Refuse a name that may lead out of its folder, here or on another system."""
    if (
        "\\" in name
        or re.match(r"/|[A-Za-z]:", name)
        or "\0" in name
        or ".." in PurePosixPath(name).parts
    ):
        raise _untrusted(archive, name, "leads out of the folder")


class _Growth:
    """How much an archive has become, and the most that it may."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.most = max(_ALWAYS_FINE, _MOST_TIMES * archive.stat().st_size)
        self.size = self.files = 0

    def add(self, name: str, size: int) -> None:
        self.size += size
        self.files += 1
        if self.size > self.most:
            raise _untrusted(self.archive, name, f"makes it more than {self.most:,} bytes")
        if self.files > _MOST_FILES:
            raise _untrusted(self.archive, name, f"makes it more than {_MOST_FILES:,} files")


def _untrusted(archive: Path, name: str, fault: str) -> RunError:
    return RunError(
        f"{archive} is not to be trusted, and nothing of it was kept: {name!r} in it {fault}"
    )
