"""Every form of a user's own folder, and what cannot be read in it."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from support_folder import (
    encoded,
    only_problem,
    put,
    write_pictures,
    write_shard,
)

from erasekit import fingerprint
from erasekit.cache import cache_root
from erasekit.data.folder.check import read_folder
from erasekit.data.folder.class_folders import ClassFolders
from erasekit.data.folder.forms import FORMS, form_of
from erasekit.errors import UsageError

pytestmark = pytest.mark.usefixtures("own_cache")


def test_what_is_no_such_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere is not a folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(
        UsageError, match=r"no files, .*none of pairs.csv, .*no folder for each class"
    ):
        read_folder(tmp_path)
    (tmp_path / "apple").mkdir()
    with pytest.raises(UsageError, match=r"the classes: 1 folders, .* has no rows"):
        read_folder(tmp_path)
    (tmp_path / "pairs.csv").write_text("image,caption\n")
    with pytest.raises(UsageError, match=r"pairs.csv has no rows"):
        read_folder(tmp_path)
    with pytest.raises(UsageError, match="unknown kind of checks 'al': did you mean 'all'"):
        read_folder(tmp_path, checks="al")


def test_bytes_that_are_no_utf8_are_named_in_every_form(tmp_path: Path) -> None:
    latin = "pâté".encode("latin-1")
    line = b'{"image": "a.png", "caption": "' + latin + b'"}\n'
    caption = pa.array([latin]).cast(pa.string(), safe=False)
    for form, write in {
        "csv": lambda file: put(file, b"image,caption\na.png,\xc3\xa9\na.png," + latin + b"\n"),
        "jsonl": lambda file: put(file, line),
        "parquet": lambda file: parquet.write_table(
            pa.table({"image": ["a.png"], "caption": caption}), file
        ),
    }.items():
        folder = tmp_path / form
        write_pictures(folder, "a.png")
        write(folder / f"pairs.{form}")
        assert only_problem(folder)[1] == "wrong encoding"
    write_shard(tmp_path / "s" / "0.tar", [("1.png", encoded()), ("1.txt", latin)])
    assert only_problem(tmp_path / "s")[:2] == ("shard 0.tar, key 1", "wrong encoding")
    (tmp_path / "c" / "x").mkdir(parents=True)
    try:
        put(Path(os.fsdecode(os.fsencode(tmp_path / "c" / "x") + b"/\xff\n.png")), encoded())
    except OSError:
        return  # a file system that takes UTF-8 alone
    assert only_problem(tmp_path / "c")[:2] == (r"file x/\udcff\n.png", "wrong encoding")


FORM = """
from erasekit.data.folder.class_folders import ClassFolders


class Odd(ClassFolders):
    name = "odd"

    @classmethod
    def find(cls, folder):
        return super().find(folder) if (folder.base / "odd").exists() else ()
"""


def test_a_form_of_another_package_comes_before_class_folders_and_its_code_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, folder = tmp_path / "odd_form.py", tmp_path / "pictures"
    module.write_text(FORM)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(FORMS._registered, "odd", import_module("odd_form").Odd)
    write_pictures(folder, "apple/a.png")
    assert form_of(folder.resolve(), False).name == "classes"
    (folder / "odd").touch()
    assert form_of(folder.resolve(), False).name == "odd"

    def entries() -> set[str]:
        read_folder(folder, progress=False)
        return {path.name for path in cache_root().glob("folder-*") if path.is_dir()}

    before = entries()
    assert entries() == before
    module.write_text(FORM + "MORE = 1\n")
    for function in (fingerprint.fingerprint, fingerprint.closure, fingerprint.module_hash):
        function.cache_clear()
    assert len(entries() - before) == 2


def test_a_form_of_a_notebook_is_refused() -> None:
    with pytest.raises(UsageError, match="form 'own': put its class in a module"):
        FORMS.register(type("Own", (ClassFolders,), {"name": "own", "__module__": "__main__"}))
