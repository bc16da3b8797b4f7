"""Data flows one way: a module imports from its left or from the shared ground, never back.

And what answers a misspelt argument must not wait for torch.
"""

from __future__ import annotations

import ast
import subprocess
import sys
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
    "sharing": 9,
    "tutorial": 9,
    "cli": 10,
    "__main__": 11,
}
#: What every room may use; it uses nothing but itself.
GROUND = {
    *("errors", "files", "fingerprint", "cache", "device", "progress", "processes", "loop"),
    *("settings", "frames", "registry"),
}
HEAVY = {"torch", "open_clip", "pandas", "matplotlib", "sklearn", "transformers", "papermill"}
#: All that the command line loads before it lets heavy things in.
LIGHT = (
    "errors",
    "files",
    "settings",
    "experiment.specs",
    "cli.catalogue",
    "cli.app",
    "cache",
    "runs.run_folder",
    "audit.attack_registry",
    "leaderboard.plan",
    "models.pretrained",
    "sharing.export",
    "certificate.policy",
    "certificate.verification",
)


def imports(path: Path) -> set[str]:
    """Every module of erasekit that a file imports, lazily or not, types left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "erasekit":
            found |= {f"erasekit.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("erasekit.")}


def modules() -> list[Path]:
    return [p for p in sorted(HOME.rglob("*.py")) if p.parent != HOME or p.stem != "__init__"]


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
