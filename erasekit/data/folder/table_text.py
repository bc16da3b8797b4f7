"""Read delimited text: detect the separator, and rows hidden by an unclosed quote."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TextIO

from erasekit.data.folder.folder_files import is_picture
from erasekit.data.folder.text_encoding import encoding_of
from erasekit.errors import UsageError

#: Separators and their names.
SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "pipe"}
# As Flickr8k.token.txt begins: 1000268201_693b08cb0e.jpg#0, a tab, a caption.
_TOKEN = re.compile(r"([^\t]+)#\d+\t")


class Line(NamedTuple):
    """A raw row of a table."""

    number: int  #: number of its first line
    cells: list[str]
    wrong: str = ""  #: why it cannot be read


@contextmanager
def opened_text(table: Path) -> Iterator[tuple[TextIO, str]]:
    """Open a text file; also return its encoding if it is not UTF-8.

    Invalid bytes become replacement characters, so that their row can be reported.

    Raises:
        UsageError: when the encoding is not clear.
    """
    with table.open("rb") as file:
        encoding = encoding_of(file)
        file.seek(0)
        errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
        text = io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")
        yield text, "" if encoding == "utf-8-sig" else encoding


def separator(first: str) -> str:
    """Detect the separator of a table from its header line."""
    if first.lower().startswith("sep=") and len(first.strip("\r\n")) == 5:
        return first[4]
    return max(SEPARATORS, key=lambda each: len(next(csv.reader([first], delimiter=each), [])))


def table_lines(file: TextIO, table: str) -> tuple[list[str], str, Iterator[Line]]:
    """Return the names of a table's columns, its separator, and every row.

    If an unclosed quote swallows other rows, each of their lines is reported as unreadable.

    Raises:
        UsageError: when there is no header with the columns' names.
    """
    first, before = file.readline(), 1
    try:
        between = separator(first)
        if first.lower().startswith("sep="):
            first, before = file.readline(), 2
        if (token := _TOKEN.match(first)) and is_picture(token[1]):
            return ["image", "caption"], "\t", _tokens(chain([first], file))
        names = next(csv.reader([first], delimiter=between), [])
    except csv.Error as error:
        raise UsageError(f"{table} has no line with the columns' names ({error})") from error
    # As in Flickr30K's results.csv, a space after each separator belongs to the separator.
    spaced = len(names) > 1 and all(name.startswith(" ") for name in names[1:])
    lines = _lines(file, between, len(names), before)
    if spaced:
        lines = (line._replace(cells=[cell.strip() for cell in line.cells]) for line in lines)
    return [name.strip() for name in names], between, lines


def _tokens(lines: Iterable[str]) -> Iterator[Line]:
    """Yield the rows of a token file, which has no header; its quotes belong to the captions."""
    for number, line in enumerate(lines, start=1):
        image, between, caption = line.rstrip("\r\n").partition("\t")
        name, _, index = image.rpartition("#")
        if name and index.isdigit() and between:
            yield Line(number, [name, caption])
        elif line.strip():
            yield Line(number, [], "it does not begin with a picture's name, # and a number")


def _lines(file: TextIO, between: str, columns: int, before: int) -> Iterator[Line]:
    lines = csv.reader(file, strict=True, delimiter=between)
    while True:
        start = lines.line_num + before + 1
        cells, wrong = [], ""
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            wrong = f"this is not CSV: {error}"
        end = lines.line_num + before
        if end > start and (wrong or _swallows(cells, between)):
            said = f"a quote in line {start} is not closed and takes in the lines to {end}"
            yield from (Line(n, [], f"{said}: close it") for n in range(start, end + 1))
        elif wrong:
            yield Line(start, [], wrong)
        elif cells and len(cells) != columns:
            name = SEPARATORS.get(between, f"'{between}'")
            said = f"{len(cells)} cells under {columns} columns"
            yield Line(start, [], f"{said}: a caption with a {name} stands in quotes")
        elif cells:
            yield Line(start, cells)


def _swallows(cells: Sequence[str], between: str) -> bool:
    """Whether a cell contains another row: a line with a picture's name and a caption."""
    inner = [line for cell in cells for line in cell.splitlines()[1:]]
    found = csv.reader(inner, delimiter=between, quoting=csv.QUOTE_NONE)
    return any(len(row) > 1 and any(map(is_picture, map(str.strip, row))) for row in found)
