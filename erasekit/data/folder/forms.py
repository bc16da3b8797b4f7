"""The forms that a folder of pairs may have, and which of them a folder has."""

from __future__ import annotations

from pathlib import Path

from erasekit.data.folder.class_folders import ClassFolders
from erasekit.data.folder.rows import Form
from erasekit.data.folder.shards import Shards
from erasekit.data.folder.table_form import TABLES, CsvTable, JsonlTable, ParquetTable
from erasekit.errors import UsageError

#: Every form by its name, in the order in which a folder is asked for them.
FORMS: dict[str, type[Form]] = {
    form.name: form for form in (CsvTable, JsonlTable, ParquetTable, Shards, ClassFolders)
}


def form_of(folder: Path, progress: bool) -> Form:
    """What a folder holds, by the names in it.

    Raises:
        UsageError: when it is no folder, or none of a form that is read.
        OSError: when it cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: give one with your pictures, folder:PATH")
    root = folder.resolve()
    for form in FORMS.values():
        if files := form.find(root):
            return form(root, files, progress)
    raise UsageError(
        f"{root} has none of {', '.join(TABLES)}, no folder for each class and no shards (*.tar)"
    )
