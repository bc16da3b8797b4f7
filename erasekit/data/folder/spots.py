"""Location of a picture's bytes: a separate file, a shard, or a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from erasekit.data.folder.picture_columns import stored_picture

_MOST_BYTES = 200_000_000


class Spot(NamedTuple):
    """Location of a picture's bytes: a separate file, a range in a shard, or a row."""

    path: str  #: relative path; in a shard or a Parquet file its path, a slash, the name there
    offset: int = -1  #: in the shard; the row in a Parquet file; −1 for a separate file
    length: int = 0


def content(folder: Path, spot: Spot) -> bytes:
    """Return the encoded bytes of a picture.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when it is too large, or the shard has become shorter.
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
    """Split a path into the shard's path and the member's name."""
    shard, _, member = path.partition(".tar/")
    return f"{shard}.tar", member


def sample_key(member: str) -> str:
    """Return the key of a sample: the member's name up to the first dot."""
    folder, slash, name = member.rpartition("/")
    return folder + slash + name.partition(".")[0]
