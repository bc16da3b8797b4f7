"""The tree is what ARCHITECTURE.md says: its rooms, unique names, short files, mirrored tests."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import erasekit

HOME = Path(erasekit.__file__).parent
ROOT = HOME.parent
TESTS = ROOT / "tests"
LONGEST = 400
#: Tests of what is no module of the package.
ELSEWHERE = {"house", "notebooks", "benchmarks", "data_scripts", "mutations"}


def modules() -> list[Path]:
    return [path for path in sorted(HOME.rglob("*.py")) if path.stem not in ("__init__",)]


def rooms_in_the_tree() -> dict[str, set[str]]:
    """Names of the modules in each folder; the ground is the package's own folder."""
    found: dict[str, set[str]] = {}
    for path in modules():
        room = path.parent.relative_to(HOME).as_posix()
        found.setdefault("" if room == "." else f"{room}/", set()).add(path.stem)
    return found


def rooms_in_the_document() -> dict[str, set[str]]:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    found = {}
    for room, names in re.findall(r"^\| (.+?) \| .*? \| (.+?) \|$", text, re.MULTILINE):
        if room not in ("room", "---"):
            key = room.strip("`") if room.startswith("`") else ""
            found[key] = set(re.findall(r"`(\w+)`", names))
    return found


def test_the_table_of_rooms_is_the_tree() -> None:
    assert rooms_in_the_document() == rooms_in_the_tree()


def test_every_file_name_is_unique() -> None:
    counts = Counter(path.stem for path in modules())
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("folder", ["erasekit", "tests", "benchmarks", "data_scripts"])
def test_no_file_is_long(folder: str) -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert long == {}


def test_every_module_says_in_one_line_what_it_holds() -> None:
    for path in modules():
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        assert first.startswith('"""'), path
        assert len(first) > 10, path


def test_tests_mirror_the_package() -> None:
    astray = []
    for path in sorted(TESTS.rglob("test_*.py")):
        room = path.parent.relative_to(TESTS)
        if room.parts and room.parts[0] in ELSEWHERE:
            continue
        name = path.stem.removeprefix("test_")
        module, package = HOME / room / f"{name}.py", HOME / room / name / "__init__.py"
        if not (module.is_file() or package.is_file()):
            astray.append(path.relative_to(ROOT).as_posix())
    assert astray == []
