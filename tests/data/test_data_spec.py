"""What decides a world is checked before anything is made or read."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasekit.data.data_spec import FolderSpec, WorldSpec
from erasekit.errors import UsageError


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("pictures", 0, "pictures = 0"),
        ("scenes", -1, "scenes = -1"),
        ("held_out_pictures", 2, "held_out_pictures = 2"),
        ("image_size", 8, "image_size = 8"),
        ("seed", -1, "seed = -1"),
        ("languages", ("ja",), "'en' must be one of them"),
        ("languages", ("en", "tlh"), "language 'tlh' has no names"),
    ],
)
def test_a_world_that_cannot_be_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        WorldSpec(**{field: value})  # type: ignore[arg-type]


def test_a_spec_is_checked_at_the_door(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"template 'a photo' must hold \{\}"):
        FolderSpec(str(tmp_path), templates=("a photo",))
    with pytest.raises(UsageError, match="most_pairs = 0"):
        FolderSpec(str(tmp_path), most_pairs=0)
