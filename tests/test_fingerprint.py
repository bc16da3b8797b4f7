"""A fingerprint follows every import, and reads meaning, not words."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from erasekit import fingerprint as module
from erasekit.fingerprint import closure, fingerprint, module_hash

CODE = '''"""Words."""

from toy.parent import Parent


class Method(Parent):
    """More words."""

    scale = 2.0

    def loss(self) -> float:
        """Still words."""
        return self.scale  # and a comment
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of three modules, of which `toy.method` imports one, which imports the other."""
    home = tmp_path / "toy"
    home.mkdir()
    (home / "__init__.py").write_text("")
    (home / "method.py").write_text(CODE)
    (home / "parent.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from toy import types_alone\n"
        "class Parent:\n    def of(self):\n        from . import helper\n"
        "        return helper.one()\n"
    )
    (home / "helper.py").write_text("def one():\n    return open('data.csv')\n")
    (home / "data.csv").write_text("a,b\n")
    (home / "types_alone.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    return home


def forget_what_was_read() -> None:
    for function in (closure, fingerprint, module_hash, module._source, module._imported):
        function.cache_clear()


@pytest.fixture(autouse=True)
def fresh():
    forget_what_was_read()
    yield
    forget_what_was_read()


def test_every_import_is_followed_but_those_for_types(toy: Path) -> None:
    assert closure("toy.method") == ("toy", "toy.helper", "toy.method", "toy.parent")
    assert "toy" not in sys.modules, "nothing is imported to be hashed"


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        ("method.py", "scale = 2.0", "scale = 3.0", True),
        ("parent.py", "helper.one()", "helper.one() + 1", True),
        ("helper.py", "def one", "import json\ndef one", True),
        ("data.csv", "a,b", "a,c", True),
        ("method.py", "Still words", "Other words", False),
        ("method.py", "# and a comment", "", False),
        ("method.py", '"""Words."""', "", False),
        ("types_alone.py", "x = 1", "x = 2", False),
    ],
)
def test_it_changes_with_the_meaning_alone(
    toy: Path, file: str, old: str, new: str, changes: bool
) -> None:
    before = fingerprint("toy.method")
    text = (toy / file).read_text()
    assert old in text
    (toy / file).write_text(text.replace(old, new))
    forget_what_was_read()
    assert (fingerprint("toy.method") != before) is changes


def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no source of module 'erasekit\.nothing'"):
        fingerprint("erasekit.nothing")


def test_the_data_that_a_module_names_count() -> None:
    files = {
        "erasekit.data.drawn.concepts": ["concepts.csv"],
        "erasekit.models.train_spec": ["erasekit-medium.json", "erasekit-small.json"],
    }
    for name, expected in files.items():
        path = module._path(name)
        tree = module.ast.parse(path.read_bytes())
        assert [file.name for file in module._data_files(tree, path.parent)] == expected


def test_what_computes_no_result_is_left_out() -> None:
    """Above all the settings: a new one must not make every cached model stale."""
    left_out = {
        "erasekit",
        *(f"erasekit.{m}" for m in ("errors", "progress", "checks", "settings")),
    }
    for entry in ("erasekit.unlearn.engine", "erasekit.models.train_clip"):
        assert not left_out & set(closure(entry))
