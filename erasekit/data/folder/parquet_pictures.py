"""Parquet files that contain the pictures, and their captions or class names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from erasekit.data.arrow_files import arrow
from erasekit.data.folder.columns import OPTIONAL, Columns
from erasekit.data.folder.folder_files import Folder
from erasekit.data.folder.picture_columns import holds_pictures, picture_column
from erasekit.data.folder.problems import ROW, Problem
from erasekit.data.folder.rows import Form, Row, numbered, table_and_line
from erasekit.data.folder.table_form import check_inside
from erasekit.data.folder.table_rows import Cells, parquet_rows, texts_in
from erasekit.errors import RunError, UsageError, reason
from erasekit.text import shown


class ParquetPictures(Form):
    """``data/train-00000-of-00001.parquet`` with a column of pictures and one of captions."""

    name = "parquet"
    own_files = False

    @classmethod
    def find(cls, folder: Folder) -> tuple[Path, ...]:
        found = [file for place in ("*", "*/*") for file in folder.base.glob(f"{place}.parquet")]
        return tuple(filter(holds_pictures, sorted(found)))

    def recipe(self) -> Any:
        times = [(file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        files = list(zip(map(shown, self.tables), times, strict=True))
        return {"form": self.name, "files": files, "caption": self.folder.columns.caption}

    @staticmethod
    def place(tables: Sequence[str], line: int, path: str) -> str:
        table, row = table_and_line(tables, line)
        return f"{table}, row {row}"

    @property
    def what(self) -> str:
        return f"{len(self.files)} Parquet files with pictures in them"

    def rows(self) -> Iterator[Row | Problem]:
        pa = arrow()
        for number, file in enumerate(self.files):
            check_inside(self.folder, file)
            told = self.tables[number]
            split = self.splits[number]
            try:
                with pa.parquet.ParquetFile(file) as opened:
                    names = _names(opened)
                    for row in _texts(opened, told, self.folder.columns.caption):
                        line = numbered(number, row.line)
                        path = f"{told}/{names[row.line] or row.line}"
                        try:
                            yield from _pairs(row, path, line, split)
                        except ValueError as error:
                            yield Problem(self.where(line, path), ROW, str(error))
            except (pa.ArrowException, OSError) as error:
                raise RunError(f"{told} is damaged: {reason(error)}") from error


def _pairs(row: Cells, path: str, line: int, split: str) -> Iterator[Row]:
    more = ["".join(texts_in(row.cells.get(role), role)).strip() for role in OPTIONAL]
    more[-1] = more[-1] or split
    for caption in texts_in(row.cells["caption"], "caption") or [""]:
        yield Row(path, caption, *more, line=line, offset=row.line)


def _texts(opened: Any, told: str, caption: str) -> Iterator[Cells]:
    """Yield the texts of each row by role; for a file without captions, the class names."""
    schema = opened.schema_arrow
    picture, classes = picture_column(schema), _classes(schema)
    try:
        roles = Columns(picture, caption).find(told, schema.names)
    except UsageError:
        if caption or len(classes) != 1:
            raise
        ((column, names),) = classes.items()
        codes = opened.read(columns=[column]).column(0).to_pylist()
        for line, code in enumerate(codes):
            name = names[code] if code is not None and 0 <= code < len(names) else ""
            yield Cells(line, {"caption": name, "concept": name})
        return
    del roles["image"]
    for row in parquet_rows(opened, told, list(roles.values())):
        yield row._replace(cells={role: row.cells[name] for role, name in roles.items()})


def _names(opened: Any) -> list[str | None]:
    """Return the original file names of the pictures, where given."""
    column = picture_column(opened.schema_arrow)
    kind = opened.schema_arrow.field(column).type
    if not arrow().types.is_struct(kind) or kind.get_field_index("path") < 0:
        return [None] * opened.metadata.num_rows
    structs = opened.read(columns=[f"{column}.path"]).column(0).combine_chunks()
    return structs.field("path").to_pylist()


def _classes(schema: Any) -> dict[str, list[str]]:
    """Return class names by column, from the metadata of Hugging Face's `datasets`."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: [name.replace("_", " ") for name in about["names"]]
            for column, about in features.items()
            if about.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
