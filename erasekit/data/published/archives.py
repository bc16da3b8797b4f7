"""Unpack untrusted archives: only inside the target folder, and completely or not at all."""

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
else:  # Python before 3.11.4 has no extraction filter
    from backports import tarfile

# Pictures hardly compress, text about tenfold; a ratio above this is an archive bomb.
_MOST_TIMES = 100
_ALWAYS_FINE = 64 << 20
_MOST_FILES = 2_000_000
# Two empty blocks end every tar.
_END = bytes(2 * tarfile.BLOCKSIZE)


def unpack(archive: Path, folder: Path, *, progress: bool = True) -> Path:
    """Unpack a tar, compressed or not, or a zip into a new folder.

    Rejects the whole archive for a name that leads out of the folder, a link, a device, or
    contents far larger than the archive. The folder appears only when it is complete.

    Raises:
        UsageError: when the folder exists already.
        RunError: when the archive is missing, damaged, no archive, or unsafe (names the entry);
            when the disk is full.
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
    except Exception as error:  # damaged bytes raise many kinds of errors
        raise RunError(
            f"{archive} is damaged, or no tar or zip: {reason(error).rstrip(':')}"
        ) from error
    return folder


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; it is renamed if the block succeeds, else deleted.

    Raises:
        UsageError: when the folder exists already.
        OSError: when it cannot be created.
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
        if opened.fileobj is file:  # decompression detects a truncated file itself
            check_end(file)


def check_end(file: BinaryIO) -> None:
    """Check the end of an open, uncompressed tar; tarfile accepts truncated ones.

    Raises:
        tarfile.ReadError: when the tar is truncated.
    """
    file.seek(0, io.SEEK_END)
    file.seek(max(0, file.tell() - len(_END)))
    if file.read() != _END:
        raise tarfile.ReadError("it ends early")


def _unpack_zip(archive: Path, file: BinaryIO, folder: Path, bar: Any) -> None:
    growth = _Growth(archive)
    with zipfile.ZipFile(file) as opened:
        for member in opened.infolist():
            # In an archive made on Unix, the upper half holds the file type.
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
    """Refuse a name that could lead out of its folder, on this or another system."""
    if (
        "\\" in name
        or re.match(r"/|[A-Za-z]:", name)
        or "\0" in name
        or ".." in PurePosixPath(name).parts
    ):
        raise _untrusted(archive, name, "leads out of the folder")


class _Growth:
    """Unpacked size of an archive so far, and its limit."""

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
