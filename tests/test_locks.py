"""One program writes; a second is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from erasekit.errors import RunError, UsageError
from erasekit.locks import locked


def test_a_second_lock_is_refused_until_the_first_is_free(tmp_path: Path):
    file = tmp_path / "new" / "lock"
    with (
        locked(tmp_path, FileLock(file)),
        pytest.raises(UsageError, match=f"another run is at work in {tmp_path}: wait"),
        locked(tmp_path, FileLock(file)),
    ):
        pass
    with locked(tmp_path, FileLock(file)):
        pass


def test_a_lock_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    lock = FileLock(tmp_path / "file" / "lock")
    with pytest.raises(RunError, match="cannot write"), locked(tmp_path, lock):
        pass
