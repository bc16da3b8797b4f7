"""The bytes of a picture, where they are said to lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_folder import (
    encoded,
    put,
    write_shard,
)

from erasekit.data.folder.check import read_folder
from erasekit.errors import RunError

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_shard_that_became_shorter_is_named(tmp_path: Path) -> None:
    file = write_shard(tmp_path / "0.tar", [("1.png", encoded()), ("1.txt", b"a")])
    pairs = read_folder(tmp_path)
    put(file, file.read_bytes()[:530])
    with pytest.raises(RunError, match=r"^shard 0.tar, key 1: .*shard ends before the picture"):
        pairs.pixels([0], 4)
