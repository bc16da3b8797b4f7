"""Arrow tables, written and read batch by batch to save memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from erasekit.extras import needed

#: Rows per batch; only the last batch of a file may have fewer.
BATCH = 16_384
# Rows to look up before the file is mapped again: each row keeps some pages in memory.
_LOOKED_UP = 64


def arrow(extra: str = "data") -> Any:
    """Return the package pyarrow with its modules `compute`, `ipc` and `parquet`.

    Raises:
        UsageError: when pyarrow is not installed; names `extra`, which installs it.
    """
    for part in ("pyarrow.compute", "pyarrow.ipc", "pyarrow.parquet"):
        needed(part, extra, "reading and writing tables of pairs")
    return needed("pyarrow", extra, "reading and writing tables of pairs")


class ArrowWriter:
    """Writer of an Arrow IPC file, row by row."""

    def __init__(self, path: Path, columns: dict[str, Any]) -> None:
        self._schema = arrow().schema(list(columns.items()))
        self._file = arrow().ipc.new_file(str(path), self._schema)
        self._rows: list[tuple] = []
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __len__(self) -> int:
        return self._number

    def add(self, row: tuple) -> None:
        self._number += 1
        self._rows.append(row)
        if len(self._rows) == BATCH:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True)
        arrays = [
            arrow().array(column, field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        self._file.write_batch(arrow().record_batch(arrays, schema=self._schema))
        self._rows = []

    def __exit__(self, kind: type | None, error: object, trace: TracebackType | None) -> None:
        if kind is None and self._rows:
            self._flush()
        self._file.close()


def mapped(path: Path) -> Any:
    """Map the table of an Arrow IPC file into memory."""
    pa = arrow()
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def looked_up(
    path: Path, columns: Sequence[str], rows: Sequence[int] | np.ndarray
) -> Iterator[tuple]:
    """Yield the values of some columns of an Arrow IPC file for the given rows, in their order.

    The file is mapped for a few rows at a time: a row's pages stay in memory as long as the
    file is mapped.
    """
    for first in range(0, len(rows), _LOOKED_UP):
        table = mapped(path)
        chunks = [table[name].chunks for name in columns]
        for row in rows[first : first + _LOOKED_UP]:
            # All batches have the same length, so a row is found without a search.
            number, at = divmod(int(row), BATCH)
            yield tuple(each[number][at].as_py() for each in chunks)
        del table, chunks


def batches(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Yield columns of an Arrow IPC file batch by batch; each batch is released after use."""
    pa = arrow()
    with pa.OSFile(str(path)) as file:
        schema = pa.ipc.open_file(file).schema
        wanted = [schema.get_field_index(name) for name in columns]
        only = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=wanted))
        for number in range(only.num_record_batches):
            yield only.get_batch(number).select(list(columns))


def numbers(path: Path, name: str) -> np.ndarray:
    """Return a column of numbers, shape (n,)."""
    table = mapped(path)
    found = np.empty(len(table), dtype=table.schema.field(name).type.to_pandas_dtype())
    at = 0
    for part in batches(path, (name,)):
        found[at : at + len(part)] = part.column(0).to_numpy()
        at += len(part)
    return found


def texts(path: Path, name: str) -> Iterator[str]:
    """Yield the texts of a column."""
    for part in batches(path, (name,)):
        yield from part.column(0).to_pylist()


def cell(table: Any, name: str, row: int) -> Any:
    """Return the value of one cell of a mapped table."""
    return table[name].chunk(row // BATCH)[row % BATCH].as_py()
