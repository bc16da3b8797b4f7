"""Download a published file: try mirrors in turn, resume, verify, then rename.

The data are in ``NAME.part`` until they are complete and the checksum is right. An interrupted
download resumes from there, at another mirror if necessary.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

from erasekit.errors import RunError, UsageError, reason
from erasekit.extras import needed
from erasekit.progress import progress_bar

#: Hexadecimal digits of each supported kind of checksum.
CHECKSUMS = {"md5": 32, "sha256": 64}

_CHUNK = 1 << 16
# Seconds to connect, and seconds without data.
_TIMEOUT = (10.0, 60.0)
# Consecutive failures without progress before a server is given up.
_TRIES = 5
_PROGRESS = 1 << 20
_PAUSE = 1.0


class _GivenUpError(Exception):
    """A server does not provide the file; the message says why."""


def download(
    urls: Sequence[str],
    path: Path,
    *,
    checksum: str | None = None,
    size: int | None = None,
    progress: bool = True,
) -> Path:
    """Download a file from the first server that provides it.

    A valid existing file is not downloaded again. A second process that needs the same file
    waits. Without a checksum, an old partial file cannot be verified: only data received in
    this call are resumed, from the same server.

    Args:
        urls: http or https addresses, in the order to try.
        path: local path of the file.
        checksum: ``sha256:HEX`` or ``md5:HEX``.
        size: length in bytes, if known.
        progress: whether to show a bar.

    Raises:
        UsageError: for an invalid address or checksum; without the package requests.
        RunError: when no server provides the right file (names each with its reason), when the
            file cannot be written, or when a different file exists.
    """
    path = Path(path)
    session = needed("requests", "data", "fetching data").Session()
    if checksum is not None:
        _parsed(checksum)
    if not urls:
        raise UsageError(f"no place to fetch {path.name} from: give one")
    for url in urls:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise UsageError(f"'{url}' is not an address: it starts with http:// or https://")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with session, FileLock(path.parent / f".{path.name}.lock"):
            if path.exists():
                verify(path, checksum)
                return path
            part = path.with_name(f"{path.name}.part")
            _from_any(session, urls, part, checksum, size, progress)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {reason(error)}") from error
    return path


def verify(path: Path, checksum: str | None) -> None:
    """Compare a file with its checksum, ``sha256:HEX`` or ``md5:HEX``; None accepts any file.

    Raises:
        UsageError: for an invalid checksum.
        RunError: when the checksums differ (names both), or the file cannot be read.
    """
    if checksum is None:
        return
    kind, right = _parsed(checksum)
    try:
        found = _sum(path, kind)
    except OSError as error:
        raise RunError(f"cannot read {path}: {reason(error)}") from error
    if found != right:
        raise RunError(
            f"{path} is not the file that was asked for: its {kind} is {found}, not {right}. "
            "Remove it to download it again"
        )


def _parsed(checksum: str) -> tuple[str, str]:
    kind, _, digits = checksum.strip().lower().partition(":")
    if not re.fullmatch(r"[0-9a-f]+", digits) or len(digits) != CHECKSUMS.get(kind):
        raise UsageError(
            f"'{checksum}' is not a checksum: write sha256: and 64 hexadecimal digits, "
            "or md5: and 32 of them"
        )
    return kind, digits


def _sum(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _from_any(
    session: Any,
    urls: Sequence[str],
    part: Path,
    checksum: str | None,
    size: int | None,
    progress: bool,
) -> None:
    """Complete `part` from the first server that provides the file."""
    reasons = []
    for i, url in enumerate(urls):
        if checksum is None:
            part.unlink(missing_ok=True)
        try:
            _from_one(session, url, part, checksum, size, progress)
            return
        except _GivenUpError as reason:
            reasons.append(f"{_shown(url)}: {reason}")
            if i + 1 < len(urls):
                print(f"note: {reasons[-1]}; asking {_shown(urls[i + 1])}", file=sys.stderr)
    name = part.name.removesuffix(".part")
    raise RunError(
        f"cannot fetch {name}: {'; '.join(reasons)}. "
        "Run it again to go on, or fetch it from another place"
    )


def _from_one(
    session: Any, url: str, part: Path, checksum: str | None, size: int | None, progress: bool
) -> None:
    """Complete `part` from one server, with as many requests as necessary."""
    found_some = _length(part) > 0
    came, idle = 0, 0
    while size is None or _length(part) != size:
        if size is not None and _length(part) > size:
            part.unlink()
        received, trouble = _receive(session, url, part, size, progress)
        if trouble is None:
            break
        came += received
        idle = 0 if received >= _PROGRESS else idle + 1
        if not came or idle >= _TRIES:
            raise _GivenUpError(trouble)
        time.sleep(_PAUSE * idle)
    if checksum is None:
        return
    kind, right = _parsed(checksum)
    found = _sum(part, kind)
    if found == right:
        return
    part.unlink()
    if not found_some:
        raise _GivenUpError(f"its {kind} is {found}, not {right}; what came was removed")
    # The previous partial file may have been the wrong one.
    _from_one(session, url, part, checksum, size, progress)


def _receive(
    session: Any, url: str, part: Path, size: int | None, progress: bool
) -> tuple[int, str | None]:
    """Request the missing data of `part`; return the bytes received and the error, if any."""
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    had = _length(part)
    # Archives are compressed already; the server must not compress them again.
    headers = {"Accept-Encoding": "identity", "User-Agent": "erasekit"}
    if had:
        headers["Range"] = f"bytes={had}-"
    received = 0
    try:
        with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == 416 and had:
                part.unlink()  # longer than the file, or complete but of unknown length
                return _receive(session, url, part, size, progress)
            start, total = _extent(answer, had)
            if size is not None and total not in (None, size):
                raise _GivenUpError(f"it has {total:,} bytes there, not {size:,}")
            total = total if size is None else size
            with (
                part.open("ab" if start else "wb") as file,
                progress_bar(part.stem, "B", total or 0, done=start, show=progress) as bar,
            ):
                for chunk in answer.raw.stream(_CHUNK, decode_content=False):
                    received += file.write(chunk)
                    bar.update(len(chunk))
                    if total is not None and start + received > total:
                        raise _GivenUpError(f"it sends more than the {total:,} bytes of the file")
    except (RequestException, HTTPError) as error:
        return received, _broke_off(part) if received else _said(error)
    if total is not None and start + received < total:
        return received, _broke_off(part)
    return received, None


def _extent(answer: Any, had: int) -> tuple[int, int | None]:
    """Return the offset of a response's data in the file, and the file's length if known."""
    if answer.status_code == 200:
        told = answer.headers.get("Content-Length", "")
        return 0, int(told) if told.isdecimal() else None
    if answer.status_code == 206 and had:
        told = answer.headers.get("Content-Range", "")
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", told.strip())
        if found is None or int(found[1]) != had:
            raise _GivenUpError("it answers with other bytes than those that were asked for")
        return had, None if found[2] == "*" else int(found[2])
    # Use the standard phrase: a server's own text is untrusted.
    phrase = http.client.responses.get(answer.status_code, "")
    raise _GivenUpError(f"it answers {answer.status_code} {phrase}".rstrip())


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _broke_off(part: Path) -> str:
    return f"it broke off after {_length(part):,} bytes"


def _shown(url: str) -> str:
    """Return an address without possible secrets, such as a password or a signature."""
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc.rpartition('@')[2]}{found.path}"


def _said(error: Exception) -> str:
    """Describe a network error in a few words."""
    told = str(error).lower()
    for sign, words in _SIGNS.items():
        if sign in told:
            return words
    return f"it cannot be asked ({type(error).__name__})"


_SIGNS = {
    "refused": "it refuses the connection",
    "resol": "there is no such host",
    "timed out": "it does not answer in time",
    "certificate": "its certificate is not trusted",
    "incompleteread": "it broke off before the first byte",
    "reset by peer": "it hangs up",
    "aborted": "it hangs up",
}
