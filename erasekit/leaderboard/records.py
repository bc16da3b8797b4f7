"""Results as JSON lines: appended as they come, found again by what made them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from filelock import FileLock

from erasekit.cache import code_identity
from erasekit.errors import RunError, reason
from erasekit.files import sha256_json
from erasekit.locks import locked


def key_of(what: Mapping[str, Any], *code: str) -> str:
    """The name of a result: a hash of all that was asked, and of the code that makes it.

    Args:
        what: settings, task, method, seed, split and trial, as JSON holds them.
        code: the modules that make it, see `fingerprint`.
    """
    return sha256_json({**what, "code": code_identity(*code)})[:20]


#: The results of the full runs, which come with the kit: of CLIPs, and of language models.
SHIPPED = Path(__file__).with_name("results.jsonl")
SHIPPED_LANGUAGE = Path(__file__).with_name("multimodal.jsonl")


class Records:
    """A file of results, one a line, which several processes may append to at once.

    Raises:
        RunError: when a line that is not the last is damaged, naming it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock = FileLock(f"{self.path}.lock")

    def locked(self) -> AbstractContextManager[None]:
        """Keep other programs from appending while a block runs; a second block is refused."""
        return locked(self.path, self._lock)

    def read(self) -> list[dict[str, Any]]:
        """Every whole record; what a crash left of the last one is passed over."""
        if not self.path.is_file():
            return []
        *lines, _ = self.path.read_text(encoding="utf-8").split("\n")
        found = []
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                record["key"]
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(
                    f"{self.path}, line {number} is not a record: remove the line, and run again"
                ) from error
            found.append(record)
        return found

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record, whole or not at all.

        Raises:
            RunError: when it cannot be written; the file is then as it was.
        """
        line = json.dumps(_rounded(record), ensure_ascii=False, allow_nan=False)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                self._append(f"{line}\n".encode())
        except OSError as error:
            raise RunError(
                f"cannot write {self.path}: {reason(error)}. What is in it is whole: "
                "make room, and the same command goes on"
            ) from error

    def _append(self, line: bytes) -> None:
        mode = "r+b" if self.path.exists() else "w+b"
        with self.path.open(mode, buffering=0) as file:
            # What a crash left behind the last line end goes first.
            end = file.seek(0, 2)
            while end and (file.seek(end - 1), file.read(1))[1] != b"\n":
                end -= 1
            file.truncate(end)
            file.seek(end)
            if file.write(line) != len(line):  # the disk is full
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 6) if isinstance(value, float) else value
