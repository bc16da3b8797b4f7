"""Every form of a user's own folder, and what cannot be read in it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from support_folder import (
    encoded,
    only_problem,
    problems,
    put,
    write_pictures,
    write_shard,
    write_table,
)

from erasekit import fingerprint
from erasekit.cache import cache_root
from erasekit.data.folder.check import read_folder
from erasekit.data.folder.class_folders import ClassFolders
from erasekit.data.folder.forms import FORMS, form_of
from erasekit.errors import RunError, UsageError

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


# What was written is what is read, or it is refused

_NAMES = st.text("aZ1é ._-#", min_size=1, max_size=6).filter(lambda n: n.strip(" .") == n)
_CAPTIONS = st.text("ab é漢\"',;|\t\n=#0\\", min_size=1, max_size=12)
_WRITERS: dict[str, Callable[[Path, dict[str, str]], object]] = {
    **{
        form: lambda folder, pairs, form=form: write_table(
            folder, form, [{"image": f"img/{n}.png", "caption": c} for n, c in pairs.items()]
        )
        for form in ("csv", "jsonl", "parquet")
    },
    "tsv": lambda folder, pairs: put(
        folder / "pairs.tsv",
        "".join(
            "\t".join(f'"{cell}"' for cell in (image, caption.replace('"', '""'))) + "\n"
            for image, caption in {
                "image": "caption",
                **{f"img/{n}.png": c for n, c in pairs.items()},
            }.items()
        ).encode(),
    ),
    "json": lambda folder, pairs: put(
        folder / "pairs.json", json.dumps({f"img/{n}.png": c for n, c in pairs.items()}).encode()
    ),
    "COCO": lambda folder, pairs: put(
        folder / "annotations" / "captions_train.json",
        json.dumps(
            {
                "images": [{"id": i, "file_name": f"{n}.png"} for i, n in enumerate(pairs)],
                "annotations": [
                    {"image_id": i, "caption": c} for i, c in enumerate(pairs.values())
                ],
            }
        ).encode(),
    ),
    "Karpathy": lambda folder, pairs: put(
        folder / "dataset.json",
        json.dumps(
            {
                "images": [
                    {"filepath": "img", "filename": f"{n}.png", "sentences": [{"raw": c}]}
                    for n, c in pairs.items()
                ]
            }
        ).encode(),
    ),
    "sidecars": lambda folder, pairs: [
        put(folder / "img" / f"{n}.txt", c.encode()) for n, c in pairs.items()
    ],
    "token": lambda folder, pairs: put(
        folder / "all.token", "".join(f"{n}.png#0\t{c}\n" for n, c in pairs.items()).encode()
    ),
    "shards": lambda folder, pairs: write_shard(
        folder / "0.tar",
        [
            part
            for i, (n, c) in enumerate(pairs.items())
            for part in ((f"{n}.png", encoded(i)), (f"{n}.txt", c.encode()))
        ],
    ),
}


@pytest.mark.parametrize("form", _WRITERS)
@settings(max_examples=25, deadline=None)
@given(pairs=st.dictionaries(_NAMES, _CAPTIONS, min_size=1, max_size=4))
@example(pairs={"1": "a", "1.1": "b"})
def test_what_was_written_is_read_or_it_is_refused(
    tmp_path_factory: pytest.TempPathFactory, form: str, pairs: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("written")
    if form != "shards":
        write_pictures(folder, *(f"img/{name}.png" for name in pairs))
    _WRITERS[form](folder, pairs)
    try:
        if problems(folder):
            return
        read = read_folder(folder, checks="table")
    except (UsageError, RunError):
        return
    found = [(read.path(i).rpartition("/")[2], read.caption(i).strip()) for i in range(len(read))]
    assert sorted(found) == sorted((f"{n}.png", c.strip()) for n, c in pairs.items())
