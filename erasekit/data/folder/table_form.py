"""Tables of pairs: delimited text, JSON lines and Parquet, with separate picture files.

Several tables are read as one if each is in its own folder or is named after a split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from erasekit.data.folder.columns import NEEDED, OPTIONAL, Columns
from erasekit.data.folder.folder_files import BROKEN, Folder, folders_in, is_picture, within
from erasekit.data.folder.picture_columns import holds_pictures
from erasekit.data.folder.problems import ROW, Problem
from erasekit.data.folder.rows import Form, Row, numbered, table_and_line
from erasekit.data.folder.split_names import split_in
from erasekit.data.folder.table_rows import Cells, opened_table, texts_in
from erasekit.errors import ErasekitError, UsageError
from erasekit.files import sha256_file
from erasekit.text import shown

#: Names of the kit's table.
TABLES = ("pairs.csv", "pairs.tsv", "pairs.jsonl", "pairs.parquet")
# Names in Hugging Face's image folders, and the pattern of other tables.
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_TABLE = re.compile(
    r".*\.(csv|tsv|jsonl|ndjson|parquet|token)|.*(caption|annotation|result|token|pair).*\.txt",
    re.IGNORECASE,
)
# Rows that are inspected to check the columns.
_SAMPLE = 20


class Tables(Form):
    """``pairs.csv``, ``metadata.jsonl``, or any table with pictures and captions."""

    name = "table"
    repeats_pictures = True

    @classmethod
    def find(cls, folder: Folder) -> tuple[Path, ...]:
        places = [folder.base, *folders_in(folder.base)]
        own = [folder.base / name for name in TABLES]
        beside = [place / name for place in places for name in _METADATA]
        for paths in (own, beside, other_tables(folder)):
            there = [path for path in paths if path.is_file() and not holds_pictures(path)]
            named = paths is own or paths is beside
            found = [path for path in there if named or _fits(path, folder)]
            check_which(folder, found)
            if found:
                return tuple(found)
        return ()

    def recipe(self) -> Any:
        hashes = [sha256_file(file) for file in self.files]
        return {
            "form": self.name,
            "tables": list(zip(map(shown, self.tables), hashes, strict=True)),
            "columns": [self.folder.columns.image, self.folder.columns.caption],
            "pictures": self.folder.names,
        }

    @staticmethod
    def place(tables: Sequence[str], line: int, path: str) -> str:
        table, at = table_and_line(tables, line)
        return f"{table}, {'row' if table.lower().endswith('.parquet') else 'line'} {at}"

    @property
    def what(self) -> str:
        return ", ".join(map(shown, self.tables))

    def rows(self) -> Iterator[Row | Problem]:
        for number, table in enumerate(self.files):
            told, split = self.tables[number], self.splits[number]
            for row in self._rows_of(table, told):
                line = numbered(number, row.line)
                try:
                    if row.wrong:
                        raise ValueError(row.wrong)
                    yield from pairs_of(self.folder, row.cells, told, line, split)
                except ValueError as error:
                    yield Problem(self.where(line, ""), ROW, str(error))

    def _rows_of(self, table: Path, told: str) -> Iterator[Cells]:
        """Yield the rows of a table, with cells by role."""
        check_inside(self.folder, table)
        with opened_table(table, told) as (names, rows, notes):
            roles = {}
            if names or table.suffix.lower() not in (".jsonl", ".ndjson"):
                roles = _roles(told, names, self.folder.columns)
            found = rows(list(roles.values()))
            first = list(islice(found, _SAMPLE))
            if not self.folder.columns.image and _swapped(first, roles):
                roles |= {"image": roles["caption"], "caption": roles["image"]}
                notes = [*notes, "the names of its two columns are swapped"]
            if any(roles.get(role, role) != role for role in NEEDED):
                both = f"image is {shown(roles['image'])}, caption is {shown(roles['caption'])}"
                notes = [*notes, both]
            self.notes.extend(note for note in notes if note not in self.notes)
            for row in chain(first, found):
                by_role = {role: row.cells.get(name) for role, name in roles.items()}
                yield row._replace(cells=by_role)


def other_tables(folder: Folder) -> list[Path]:
    """Return the tables in a folder that have none of the known names."""
    return sorted(path for path in folder.base.iterdir() if _TABLE.fullmatch(path.name))


def pairs_of(
    folder: Folder, cells: dict[str, Any], table: str, line: int, split: str
) -> Iterator[Row]:
    """Yield one row per caption of a table's row.

    Args:
        folder: folder of the table.
        cells: cells by role.
        table: path of the table; paths in it may be relative to its folder.
        line: number of the row, see `numbered`.
        split: split of the table; a cell of the row takes precedence.

    Raises:
        ValueError: when a cell is not a text, or matches several pictures.
    """
    texts = {role: texts_in(cells.get(role), role) for role in (*NEEDED, *OPTIONAL)}
    for role, found in texts.items():
        if len(found) > 1 and role != "caption":
            raise ValueError(f"'{role}' has {len(found)} texts in it")
    image, *more = ("".join(texts[role]).strip() for role in ("image", *OPTIONAL))
    path = folder.named(image, table.rpartition("/")[0])
    more[-1] = more[-1] or split or folder.split(path)
    for caption in texts["caption"] or [""]:
        yield Row(path, caption, *more, line=line)


def check_inside(folder: Folder, file: Path) -> None:
    """Refuse a link that leads out of the folder.

    Raises:
        UsageError: if the file is such a link.
    """
    if not within(folder.root, file):
        raise UsageError(
            f"{file} is a link out of the folder: put the file itself there, or give a folder that "
            "holds both (of the hub's cache, the one with blobs and snapshots)"
        )


def _roles(told: str, names: Sequence[str], columns: Columns) -> dict[str, str]:
    if any(BROKEN.search(name) for name in names):
        raise UsageError(f"{told} is not in UTF-8: save it again in that encoding")
    if any(map(is_picture, names)):
        mend = "write image,caption above it"
        raise UsageError(f"{told} begins with a row, not with the columns' names: {mend}")
    return columns.find(told, names)


def _fits(table: Path, folder: Folder) -> bool:
    """Whether a table has columns for pictures and captions."""
    try:
        check_inside(folder, table)
        with opened_table(table, table.name) as opened:
            _roles(table.name, opened.names, folder.columns)
    except ErasekitError:
        return False
    return True


def check_which(folder: Folder, tables: Sequence[Path]) -> None:
    """Refuse an ambiguous choice of several tables.

    Raises:
        UsageError: if they are neither in separate folders nor named after splits.
    """
    parents = {table.parent for table in tables}
    splits = {split_in(table.stem) for table in tables}
    apart = len(parents) == len(tables) and folder.base not in parents
    by_split = len(parents) == 1 and len(splits - {""}) == len(tables)
    if len(tables) > 1 and not (apart or by_split):
        told = " and ".join(folder.path(table) for table in tables[:2])
        raise UsageError(
            f"{folder.root} has {told}: leave one of them, so that it is clear which counts"
        )


def _swapped(rows: Sequence[Cells], roles: dict[str, str]) -> bool:
    """Whether all captions look like picture names and no picture does."""
    named = {
        role: [is_picture(str(row.cells.get(roles[role])).strip()) for row in rows if not row.wrong]
        for role in NEEDED
        if role in roles
    }
    return bool(named.get("caption")) and all(named["caption"]) and not any(named["image"])
