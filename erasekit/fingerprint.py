"""Fingerprints of the code that determines a result.

The key of a cached model or a committed record includes the fingerprint of the module that makes
it: a hash of that module and of all its direct and indirect imports. A module's hash covers its
syntax tree, without docstrings and comments, and the data files beside it that it names. A
change in a parent class or a helper therefore changes the key; a change of wording does not.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: Modules that compute no result: they report, store results, or give values that are part of the
#: key themselves. The root package holds the version and lazy imports.
_REPORTS = frozenset(
    {
        *("erasekit", "erasekit.errors", "erasekit.progress", "erasekit.checks"),
        *("erasekit.settings", "erasekit.cache", "erasekit.fingerprint", "erasekit.models.trained"),
    }
)
_FILE_NAME = re.compile(r"\w[\w.-]{0,60}")
_DATA = (".csv", ".json", ".yaml")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def fingerprint(*entries: str) -> str:
    """SHA-256 of the code of `entries` and their imports, within their packages and erasekit.

    Args:
        entries: dotted names of modules, such as ``erasekit.models.train_clip``.

    Raises:
        ModuleNotFoundError: for a module that does not exist.
    """
    digest = hashlib.sha256()
    for name in closure(*entries):
        digest.update(f"{name} {module_hash(_path(name))}\n".encode())
    return digest.hexdigest()


@cache
def closure(*entries: str) -> tuple[str, ...]:
    """Sorted names of `entries` and of all their direct and indirect imports.

    Imports inside functions count; imports for type checkers do not. Only modules of erasekit and
    of the entries' packages are followed; for other packages, the key holds versions.
    """
    homes = frozenset({"erasekit", *(entry.partition(".")[0] for entry in entries)})
    found: set[str] = set()
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in found or name in _REPORTS:
            continue
        found.add(name)
        waiting += _imported(_path(name), name, homes)
    return tuple(sorted(found))


@cache
def module_hash(path: Path) -> str:
    """SHA-256 of one module: its syntax tree without docstrings, and the data files it names."""
    tree = _without_docstrings(ast.parse(path.read_bytes()))
    digest = hashlib.sha256(repr(_plain(tree)).encode())
    for file in _data_files(tree, path.parent):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


@cache
def _source(name: str) -> Path | None:
    """The file of a module, found without importing it; None for a name that is not a module."""
    top, *rest = name.split(".")
    spec = find_spec(top)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    if not rest:
        return path
    if path.name != "__init__.py":
        return None
    inside = path.parent.joinpath(*rest)
    files = inside / "__init__.py", inside.with_suffix(".py")
    return next((file for file in files if file.is_file()), None)


def _path(name: str) -> Path:
    path = _source(name)
    if path is None:
        raise ModuleNotFoundError(f"no source of module '{name}'")
    return path


@cache
def _imported(path: Path, name: str, homes: frozenset[str]) -> tuple[str, ...]:
    """Every module of the packages `homes` that a file imports, with its parent packages."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: list[str] = []
    for node in _run(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            targets = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            parts = target.split(".")
            if parts[0] in homes:
                around = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
                found += (part for part in around if _source(part) is not None)
    return tuple(found)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes except those under ``if TYPE_CHECKING:``."""
    yield node
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    for child in ast.iter_child_nodes(node):
        yield from _run(child)


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def _plain(node: Any) -> Any:
    """A tree as nested tuples, without empty fields, which differ between Python versions."""
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields)
        return (type(node).__name__, *((n, _plain(v)) for n, v in fields if v not in (None, [])))
    return tuple(map(_plain, node)) if isinstance(node, list) else node


def _data_files(tree: ast.AST, folder: Path) -> list[Path]:
    """Data files, and those in folders, beside a module whose name occurs in it as a literal."""
    literals = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    files = []
    for name in sorted(literals):
        if not _FILE_NAME.fullmatch(name):
            continue
        path = folder / name
        files += sorted(path.glob("*")) if path.is_dir() else [path]
    return [file for file in files if file.suffix in _DATA and file.is_file()]
