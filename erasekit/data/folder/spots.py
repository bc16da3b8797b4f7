"""Where the bytes of a picture lie: in a file of its own, in a shard, or in a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from erasekit.data.folder.picture_columns import stored_picture

_MOST_BYTES = 200_000_000


class Spot(NamedTuple):
    """Where a picture's bytes lie: a file of its own, a piece of a shard, or a row."""

    path: str  #: from the folder; in a shard or a Parquet file its path, a slash, the name there
    offset: int = -1  #: in the shard; the row in a Parquet file; −1 for a file of its own
    length: int = 0


def content(folder: Path, spot: Spot) -> bytes:
    """A picture's bytes as they are stored.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it is too large, or the shard is shorter than it was.
    """
    inside = spot.offset >= 0
    if inside and ".parquet/" in spot.path:
        held = stored_picture(
            folder / f"{spot.path.partition('.parquet/')[0]}.parquet", spot.offset
        )
        if len(held) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        return held
    name = shard_and_member(spot.path)[0] if inside else spot.path
    with (folder / name).open("rb") as file:
        if inside:
            file.seek(spot.offset)
        held = file.read(min(spot.length, _MOST_BYTES + 1) if inside else _MOST_BYTES + 1)
    if len(held) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
    if inside and len(held) < spot.length:
        raise ValueError("the shard ends before the picture does")
    return held


def shard_and_member(path: str) -> tuple[str, str]:
    """The two halves of a path into a shard."""
    shard, _, member = path.partition(".tar/")
    return f"{shard}.tar", member


def sample_key(member: str) -> str:
    """What the files of one sample share: their name up to the first dot."""
    folder, slash, name = member.rpartition("/")
    return folder + slash + name.partition(".")[0]
