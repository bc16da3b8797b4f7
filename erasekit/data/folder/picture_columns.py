"""Parquet files that contain the pictures, as Hugging Face writes them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from erasekit.data.arrow_files import arrow
from erasekit.errors import reason

# Row groups kept in memory: several threads read pictures in order.
_GROUPS = 2
_lock = Lock()


def picture_column(schema: Any) -> str:
    """Return the column with pictures (bytes, or a struct of bytes and a path), or empty."""
    types = arrow().types
    for field in schema:
        kind = field.type
        if types.is_struct(kind):
            kind = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else None
        if kind is not None and (types.is_binary(kind) or types.is_large_binary(kind)):
            return field.name
    return ""


def holds_pictures(file: Path) -> bool:
    """Whether a file is a Parquet file with pictures."""
    if file.suffix.lower() != ".parquet":
        return False
    pa = arrow()
    try:
        return bool(picture_column(pa.parquet.read_schema(file)))
    except (pa.ArrowException, OSError):
        return False


def stored_picture(file: Path, row: int) -> bytes:
    """Return the bytes of the picture in a row.

    Raises:
        OSError: when the file cannot be read.
        ValueError: when the file is damaged, or the row has no bytes.
    """
    with _lock:  # threads read neighbouring rows: a group is read once for all of them
        group, first = _group(str(file), file.stat().st_mtime_ns, row)
    held = (
        group[row - first]["bytes"] if arrow().types.is_struct(group.type) else group[row - first]
    )
    found = held.as_py()
    if found is None:
        raise ValueError("the file holds no bytes of it")
    return found


def _group(file: str, time: int, row: int) -> tuple[Any, int]:
    """Return the pictures of a row's row group, and the number of its first row."""
    starts = _starts(file, time)
    number = max(at for at, start in enumerate(starts) if start <= row)
    return _read(file, time, number), starts[number]


@lru_cache(256)
def _starts(file: str, time: int) -> tuple[int, ...]:
    pa = arrow()
    try:
        with pa.parquet.ParquetFile(file) as opened:
            about = opened.metadata
            sizes = [about.row_group(at).num_rows for at in range(about.num_row_groups)]
    except pa.ArrowException as error:
        raise ValueError(reason(error)) from error
    return tuple(sum(sizes[:at]) for at in range(len(sizes)))


@lru_cache(_GROUPS)
def _read(file: str, time: int, number: int) -> Any:
    pa = arrow()
    try:
        with pa.parquet.ParquetFile(file) as opened:
            column = picture_column(opened.schema_arrow)
            return opened.read_row_group(number, columns=[column]).column(0).combine_chunks()
    except pa.ArrowException as error:
        raise ValueError(reason(error)) from error
