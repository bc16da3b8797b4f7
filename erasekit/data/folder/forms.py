"""Registry of the forms of a folder of pairs, and detection of a folder's form."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from erasekit.data.folder.columns import Columns
from erasekit.data.folder.folder_files import Folder, is_picture
from erasekit.data.folder.rows import Form
from erasekit.data.folder.unread_files import check_all_read
from erasekit.errors import UsageError
from erasekit.plugins import Registry, subclass_of

_LAST = "classes"


def _form(name: str, found: Any) -> type[Form]:
    form = subclass_of(Form)(name, found)
    if form.__module__ == "__main__":
        raise UsageError(
            f"form '{name}': put its class in a module, so that folders are read anew when its "
            "code changes"
        )
    return form


#: Every form by name.
FORMS: Registry[type[Form]] = Registry(
    "form of a folder",
    "erasekit.forms",
    {
        "table": "erasekit.data.folder.table_form",
        "parquet": "erasekit.data.folder.parquet_pictures",
        "json": "erasekit.data.folder.caption_json",
        "shards": "erasekit.data.folder.shards",
        "sidecars": "erasekit.data.folder.sidecars",
        _LAST: "erasekit.data.folder.class_folders",
    },
    _form,
)


def form_of(folder: Path, progress: bool, columns: Columns | None = None) -> Form:
    """Detect the form of a folder by the names in it.

    Any folder with subfolders could be a folder of classes. That form is tried last, and only
    if no other file could hold the captions.

    Raises:
        UsageError: when it is not a folder, or has no supported form.
        OSError: when it cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: give one with your pictures, folder:PATH")
    where = Folder.of(folder.resolve(), columns or Columns(), progress)
    for name, form in sorted(FORMS.items(), key=lambda item: item[0] == _LAST):
        if name == _LAST:
            check_all_read(where)
            for option, column in vars(where.columns).items():
                if column:
                    raise UsageError(f"{where.base} has no table: leave --{option}-column out")
        if files := form.find(where):
            return form(where, files)
    found = Counter("pictures" if is_picture(path) else "files" for path in where.files())
    told = " and ".join(f"{number:,} {what}" for what, number in sorted(found.items()))
    raise UsageError(
        f"{where.base} has {told or 'no files'}, and no captions: none of pairs.csv, pairs.jsonl, "
        "pairs.parquet, no folder for each class, no shards (*.tar) and no text beside each picture"
    )
