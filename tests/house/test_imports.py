"""Data flows one way: a module imports from its left or from the shared ground, never back.

And what answers a misspelt argument must not wait for torch.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import erasekit

HOME = Path(erasekit.__file__).parent
#: Rooms from left to right, as the data flows; rooms of one rank do not know each other.
RANK = {
    "data": 0,
    "models": 1,
    "unlearn": 2,
    "evaluate": 3,
    "audit": 4,
    "experiment": 5,
    "plots": 6,
    "testing": 6,
    "runs": 7,
    "leaderboard": 8,
    "certificate": 8,
    "requests": 9,
    "sharing": 9,
    "tutorial": 9,
    "cli": 10,
    "__main__": 11,
}
#: What every room may use; it uses nothing but itself.
GROUND = {
    *("errors", "files", "fingerprint", "cache", "device", "progress", "processes", "loop"),
    *(
        "settings",
        "settings_signature",
        "profiles",
        "checks",
        "cluster",
        "frames",
        "local_cluster",
        "locks",
        "same_versions",
        "text",
        "extras",
        "plugins",
    ),
}
#: The same inside `data`; what is not here may be used by all of them.
DATA_RANK = {"drawn": 1, "folder": 1, "published": 1, "question_task": 2}
HEAVY = {"torch", "open_clip", "pandas", "matplotlib", "sklearn", "transformers", "papermill"}
#: All that the command line loads before it lets heavy things in.
LIGHT = (
    "errors",
    "files",
    "settings",
    "experiment.specs",
    "cli.catalogue",
    "cli.app",
    "checks",
    "cache",
    "runs.run_folder",
    "runs.erasing",
    "audit.attack_registry",
    "leaderboard.plan",
    "models.model_name",
    "sharing.export",
    "certificate.policy",
    "certificate.verification",
)


def imported(path: Path) -> set[str]:
    """Every dotted name that a file imports, lazily or not, types left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: write the whole name of the module"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def imports(path: Path, package: str = "erasekit") -> set[str]:
    """The rooms of a package that a file imports from."""
    parts = (name.split(".") for name in imported(path))
    return {
        name[len(package.split("."))] for name in parts if ".".join(name).startswith(f"{package}.")
    }


def modules() -> list[Path]:
    return [p for p in sorted(HOME.rglob("*.py")) if p.parent != HOME or p.stem != "__init__"]


def circle(home: Path) -> list[str]:
    """The modules of one circle of imports in a package, the first again at the end; or none."""
    files = {
        ".".join(p.relative_to(home.parent).with_suffix("").parts): p
        for p in home.rglob("*.py")
        if p.stem != "__init__"
    }
    graph = {
        name: {
            module
            for target in imported(path)
            for module in (target, target.rpartition(".")[0])
            if module in files
        }
        for name, path in files.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def room(path: Path) -> str:
    return path.relative_to(HOME).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(HOME).as_posix())
def test_a_module_imports_only_from_its_left(path: Path) -> None:
    own = room(path)
    for name in imports(path) - {own}:
        if own in GROUND:
            assert name in GROUND, f"the shared ground imports {name}"
        elif name in RANK:
            assert RANK[name] < RANK[own], f"{own} imports {name}, which is not on its left"
        else:
            assert name in GROUND or not (HOME / f"{name}.py").exists(), f"unknown room {name}"


@pytest.mark.parametrize("path", sorted((HOME / "data").rglob("*.py")), ids=lambda p: p.stem)
def test_a_module_of_the_data_imports_only_from_its_left(path: Path) -> None:
    own = path.relative_to(HOME / "data").parts[0].removesuffix(".py")
    for name in imports(path, "erasekit.data") - {own}:
        assert DATA_RANK.get(name, 0) < max(DATA_RANK.get(own, 0), 1), f"{own} imports {name}"


def test_no_imports_go_in_a_circle() -> None:
    assert circle(HOME) == []


def test_a_circle_is_found(tmp_path: Path) -> None:
    (tmp_path / "kit" / "room").mkdir(parents=True)
    one, two = tmp_path / "kit" / "one.py", tmp_path / "kit" / "room" / "two.py"
    one.write_text("def late():\n    from kit.room import two\n")
    two.write_text("if TYPE_CHECKING:\n    from kit.one import late\n")
    assert circle(tmp_path / "kit") == []
    two.write_text("from kit.one import late\n")
    assert {*circle(tmp_path / "kit")} == {"kit.one", "kit.room.two"}


def test_every_module_has_its_place() -> None:
    rooms = {room(path) for path in modules()}
    assert rooms == set(RANK) | GROUND


@pytest.mark.parametrize("name", LIGHT)
def test_what_checks_arguments_does_not_load_heavy_packages(name: str) -> None:
    code = f"import sys, erasekit.{name}; print(*{HEAVY!r} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_everything_that_is_promised_is_there() -> None:
    import erasekit

    for name in erasekit.__all__:
        assert getattr(erasekit, name) is not None
