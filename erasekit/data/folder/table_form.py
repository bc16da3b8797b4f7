"""Tables of pairs beside the pictures: CSV, JSON lines and Parquet."""

from __future__ import annotations

import csv
import json
import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from erasekit.data.arrow_files import BATCH, arrow
from erasekit.data.folder.problems import ROW, Problem
from erasekit.data.folder.rows import BROKEN, NEEDED, OPTIONAL, Form, Row
from erasekit.errors import RunError, UsageError, reason
from erasekit.files import sha256_file
from erasekit.text import shown

#: Names that the table may have.
TABLES = ("pairs.csv", "pairs.jsonl", "pairs.parquet")


class TableForm(Form):
    """A table with the columns `NEEDED`, and if you like `OPTIONAL`."""

    repeats_pictures = True

    @classmethod
    def find(cls, root: Path) -> tuple[Path, ...]:
        there = [name for name in TABLES if (root / name).is_file()]
        if len(there) > 1:
            raise UsageError(
                f"{root} has {' and '.join(there)}: leave one of them, so that it is clear "
                "which counts"
            )
        return tuple(root / name for name in there if name == f"pairs.{cls.name}")

    def recipe(self) -> Any:
        return {"form": self.name, "sha256": sha256_file(self.files[0])}

    @staticmethod
    def place(table: str, line: int, path: str) -> str:
        return f"{table}, line {line}"

    @property
    def what(self) -> str:
        return self.files[0].name


class CsvTable(TableForm):
    """``pairs.csv``."""

    name = "csv"

    def rows(self) -> Iterator[Row | Problem]:
        table = self.files[0]
        # Bytes that are no UTF-8 come through as marks, so that their row can be named.
        with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            lines = csv.reader(file, strict=True)
            try:
                names = [name.strip() for name in next(lines, [])]
            except csv.Error as error:
                raise UsageError(
                    f"{table} has no line with the columns' names ({error})"
                ) from error
            _check_columns(table, names)
            while True:
                line = lines.line_num + 1
                try:
                    cells = next(lines)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Problem(self.where(line, ""), ROW, f"this is no CSV: {error}")
                    continue
                if len(cells) == len(names):
                    yield _row(dict(zip(names, cells, strict=True)), line)
                elif cells:
                    said = f"{len(cells)} cells under {len(names)} columns"
                    mend = "a caption with a comma stands in quotes"
                    yield Problem(self.where(line, ""), ROW, f"{said}: {mend}")


class JsonlTable(TableForm):
    """``pairs.jsonl``: a JSON object in each line."""

    name = "jsonl"

    def rows(self) -> Iterator[Row | Problem]:
        table = self.files[0]
        checked = False
        with table.open("rb") as file:
            for line, held in enumerate(file, start=1):
                if not held.strip():
                    continue
                try:
                    cells = json_texts(held.decode("utf-8-sig", errors="surrogateescape"))
                except ValueError as error:
                    yield Problem(self.where(line, ""), ROW, str(error))
                    continue
                if not checked:
                    _check_columns(table, list(cells))
                    checked = True
                yield _row(cells, line)


class ParquetTable(TableForm):
    """``pairs.parquet``."""

    name = "parquet"

    @staticmethod
    def place(table: str, line: int, path: str) -> str:
        return f"{table}, row {line}"

    def rows(self) -> Iterator[Row | Problem]:
        pa = arrow()

        table, line = self.files[0], 0
        try:
            with table.open("rb") as opened, pa.parquet.ParquetFile(opened) as file:
                schema = file.schema_arrow
                _check_columns(table, schema.names)
                chosen = [name for name in (*NEEDED, *OPTIONAL) if name in schema.names]
                for name in chosen:
                    _check_texts(table, schema.field(name))
                for batch in file.iter_batches(BATCH, columns=chosen):
                    # As bytes, for pyarrow does not say which of its texts is no UTF-8.
                    cells = [
                        column.cast(pa.large_string(), safe=False)
                        .cast(pa.large_binary())
                        .to_pylist()
                        for column in (batch.column(name) for name in chosen)
                    ]
                    for held in zip(*cells, strict=True):
                        texts = ((each or b"").decode(errors="surrogateescape") for each in held)
                        yield _row(dict(zip(chosen, texts, strict=True)), line)
                        line += 1
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{table} is damaged: {reason(error)}") from error


def json_texts(held: str) -> dict[str, str]:
    """The columns of an object in JSON that are texts, with nothing where there is null."""
    try:
        value = json.loads(held)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no JSON: {reason(error)}") from error
    if not isinstance(value, dict):
        raise ValueError("this is no JSON object")
    cells = {key: value[key] for key in (*NEEDED, *OPTIONAL) if key in value}
    for key, cell in cells.items():
        if cell is not None and not isinstance(cell, str):
            raise ValueError(f"'{key}' is no text")
    return {key: cell or "" for key, cell in cells.items()}


def _check_columns(table: Path, names: Sequence[str]) -> None:
    if any(BROKEN.search(name) for name in names):
        raise UsageError(f"{table} is not in UTF-8: save it anew in that encoding")
    for needed in NEEDED:
        if needed not in names:
            told = ", ".join(map(shown, names)) or "none"
            raise UsageError(f"{table} has no column '{needed}'; it has {told}")
    for name in names:
        if names.count(name) > 1 and name in (*NEEDED, *OPTIONAL):
            raise UsageError(f"{table} has the column '{name}' twice")


def _check_texts(table: Path, field: Any) -> None:
    types = arrow().types
    kind = field.type.value_type if types.is_dictionary(field.type) else field.type
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind)):
        raise UsageError(f"{table}: the column '{field.name}' has {kind} in it, not texts")


def _row(cells: dict[str, str], line: int) -> Row:
    image = cells.get("image", "").strip()
    # In its shortest spelling, so that a picture has one path.
    image = posixpath.normpath(image) if image else ""
    return Row(image, cells.get("caption", ""), **optional(cells), line=line)


def optional(cells: dict[str, str]) -> dict[str, Any]:
    """The columns that a row may have, empty where it has none."""
    return {name: cells.get(name, "").strip() for name in OPTIONAL}
