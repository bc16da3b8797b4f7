"""The forms that a folder of pairs may have, and which of them a folder has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from erasekit.data.folder.rows import Form
from erasekit.data.folder.table_form import TABLES
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


#: Every form by its name.
FORMS: Registry[type[Form]] = Registry(
    "form of a folder",
    "erasekit.forms",
    {
        **dict.fromkeys(("csv", "jsonl", "parquet"), "erasekit.data.folder.table_form"),
        "shards": "erasekit.data.folder.shards",
        _LAST: "erasekit.data.folder.class_folders",
    },
    _form,
)


def form_of(folder: Path, progress: bool) -> Form:
    """What a folder holds, by the names in it.

    Any folder with folders in it could be one of classes; that form is asked last.

    Raises:
        UsageError: when it is no folder, or none of a form that is read.
        OSError: when it cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: give one with your pictures, folder:PATH")
    root = folder.resolve()
    for _, form in sorted(FORMS.items(), key=lambda item: item[0] == _LAST):
        if files := form.find(root):
            return form(root, files, progress)
    raise UsageError(
        f"{root} has none of {', '.join(TABLES)}, no folder for each class and no shards (*.tar)"
    )
