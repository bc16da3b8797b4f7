"""Detect unread files that may hold captions: then class names must not be used as captions."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from erasekit.data.folder.folder_files import PICTURES, Folder, is_note, is_picture, within
from erasekit.data.folder.sample_parts import CAPTIONS
from erasekit.data.folder.table_rows import opened_table
from erasekit.errors import ErasekitError, UsageError
from erasekit.text import shown

# Extensions, and how to convert such files to a supported form.
_TABLE = "write pairs.csv with the columns image and caption"
_MENDS = {
    (".xlsx", ".xls", ".ods", ".numbers"): "save the sheet as CSV",
    (".zip", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"): "unpack it",
    (".arrow", ".feather"): "save it as Parquet, with to_parquet of Hugging Face's datasets",
    (".db", ".sqlite", ".sqlite3"): "export its table as CSV",
    (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xml", ".yaml", ".yml"): _TABLE,
    (".tfrecord", ".beton", ".mdb", ".h5", ".hdf5", ".npz", ".npy", ".mat", ".pkl"): _TABLE,
}
# Maximum number of other files to inspect, and bytes of each.
_OTHERS, _HEAD = 100, 4_000
_ENDINGS = "|".join(map(re.escape, PICTURES))
_PICTURE = re.compile(rf"[^\s\"',;|]+({_ENDINGS})\b".encode(), re.IGNORECASE)


def check_all_read(folder: Folder) -> None:
    """Refuse a folder with an unread file that may hold the captions.

    Raises:
        UsageError: for such a file; names it, its format, and the fix.
    """
    files = [path for path in folder.files() if _is_readable(folder, path)]
    for endings, mend in _MENDS.items():
        for path in files:
            if path.lower().endswith(endings):
                raise _refusal(path, _why_not(folder.root / path, folder) or mend)
    named = {PurePosixPath(path).stem for path in folder.files() if is_picture(path)}
    for path in files:
        if path.lower().endswith(CAPTIONS) and PurePosixPath(path).stem in named:
            raise _refusal(path, "it has the name of a picture: put it beside that picture")
    for path in files[:_OTHERS]:
        with (folder.root / path).open("rb") as file:
            if found := _PICTURE.search(file.read(_HEAD)):
                named = shown(found[0].decode(errors="replace"))
                raise _refusal(path, f"it names pictures ({named}): {_TABLE}")


def _is_readable(folder: Folder, path: str) -> bool:
    """Whether a file may hold text: not a picture, a pipe, or a link out of the folder."""
    file = folder.root / path
    other = not is_picture(path) and not is_note(file.name)
    return other and file.is_file() and within(folder.root, file)


def _refusal(path: str, why: str) -> UsageError:
    return UsageError(
        f"{shown(path)} may hold captions, and is not read: {why}. If it holds none, move it out "
        "of the folder"
    )


def _why_not(file: Path, folder: Folder) -> str:
    """Describe the problem with a table's columns; empty if the file is not a table."""
    if file.suffix.lower() not in (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"):
        return ""
    try:
        with opened_table(file, file.name) as opened:
            folder.columns.find(file.name, opened.names)
    except ErasekitError as error:
        return str(error)
    return "move it to where the pictures begin"
