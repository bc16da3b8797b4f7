"""Read the rows of one table: delimited text, JSON lines, or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from erasekit.data.arrow_files import BATCH, arrow
from erasekit.data.folder.table_text import SEPARATORS, opened_text, table_lines
from erasekit.errors import RunError, UsageError, reason
from erasekit.text import shown


class Cells(NamedTuple):
    """The cells of a row by column."""

    line: int
    cells: dict[str, Any]
    wrong: str = ""  #: why it cannot be read


class Opened(NamedTuple):
    """An open table."""

    names: Sequence[str]  #: names of its columns
    rows: Callable[[Sequence[str]], Iterator[Cells]]  #: reads the given columns, row by row
    notes: Sequence[str] = ()  #: differences from plain CSV


def opened_table(table: Path, told: str) -> AbstractContextManager[Opened]:
    """Open a table by its extension; `told` is its name in messages.

    Raises:
        UsageError: when it has no header with the columns' names.
        RunError: when the whole table is damaged.
    """
    return _READERS.get(table.suffix.lower(), _text)(table, told)


@contextmanager
def _text(table: Path, told: str) -> Iterator[Opened]:
    with opened_text(table) as (file, encoding):
        names, between, lines = table_lines(file, told)

        def rows(wanted: Sequence[str]) -> Iterator[Cells]:
            at = {name: names.index(name) for name in wanted}
            for number, cells, wrong in lines:
                found = {} if wrong else {name: cells[where] for name, where in at.items()}
                yield Cells(number, found, wrong)

        notes = [encoding] if encoding else []
        if between != ",":
            notes.append(f"{SEPARATORS.get(between, between)} between cells")
        yield Opened(names, rows, notes)


@contextmanager
def _json_lines(table: Path, told: str) -> Iterator[Opened]:
    with table.open("rb") as file:

        def objects() -> Iterator[Cells]:
            file.seek(0)
            for line, held in enumerate(file, start=1):
                if held.strip():
                    try:
                        value = json_object(held.decode("utf-8-sig", errors="surrogateescape"))
                        yield Cells(line, value)
                    except ValueError as error:
                        yield Cells(line, {}, str(error))

        names = dict.fromkeys(name for row in objects() for name in row.cells)

        def rows(wanted: Sequence[str]) -> Iterator[Cells]:
            for row in objects():
                yield row._replace(cells={name: row.cells.get(name) for name in wanted})

        yield Opened(list(names), rows)


@contextmanager
def _parquet(table: Path, told: str) -> Iterator[Opened]:
    pa = arrow()
    try:
        with table.open("rb") as opened, pa.parquet.ParquetFile(opened) as file:
            names = file.schema_arrow.names
            yield Opened(names, lambda wanted: parquet_rows(file, told, wanted))
    except (pa.ArrowException, OSError) as error:
        raise RunError(f"{told} is damaged: {reason(error)}") from error


_READERS = {".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}


def parquet_rows(file: Any, told: str, wanted: Sequence[str]) -> Iterator[Cells]:
    """Yield the texts in columns of an open Parquet file, row by row.

    Raises:
        UsageError: when a column does not hold texts; `told` is the file's name in the message.
    """
    for name in wanted:
        _check_texts(told, file.schema_arrow.field(name))
    line = 0
    for batch in file.iter_batches(BATCH, columns=list(wanted)):
        columns = [_as_bytes(batch.column(name)) for name in wanted]
        for held in zip(*columns, strict=True):
            yield Cells(line, dict(zip(wanted, map(_decoded, held), strict=True)))
            line += 1


def json_object(held: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: when the text is not one.
    """
    try:
        value = json.loads(held, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is not JSON: {reason(error)}") from error
    if not isinstance(value, dict):
        raise ValueError("this is not a JSON object")
    return value


def _once(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the items of a JSON object, each name of which must occur once."""
    found = dict(items)
    if len(found) < len(items):
        names = [name for name, _ in items]
        raise ValueError(f"{shown(max(names, key=names.count))} is in it twice")
    return found


def texts_in(value: Any, name: str) -> list[str]:
    """Return the texts of a cell: none if it is empty, several if it is a list.

    Raises:
        ValueError: for any other content.
    """
    found = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(each, str) for each in found):
        raise ValueError(f"'{name}' is not text")
    return found


def _check_texts(told: str, field: Any) -> None:
    kind = _kind(field.type)
    types = arrow().types
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind)):
        raise UsageError(
            f"{told}: the column '{field.name}' has {kind} in it, not texts: write texts"
        )


def _kind(kind: Any) -> Any:
    """Return the type of a column's values, inside a list or a dictionary encoding too."""
    types = arrow().types
    inner = types.is_dictionary(kind) or types.is_list(kind) or types.is_large_list(kind)
    return kind.value_type if inner else kind


def _as_bytes(column: Any) -> list[Any]:
    # Read as bytes, since pyarrow does not say which text is invalid UTF-8.
    pa = arrow()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return column.cast(pa.list_(pa.binary())).to_pylist()
    return column.cast(pa.large_string(), safe=False).cast(pa.large_binary()).to_pylist()


def _decoded(held: Any) -> Any:
    if isinstance(held, list):
        return [_decoded(each) for each in held]
    return None if held is None else held.decode(errors="surrogateescape")
