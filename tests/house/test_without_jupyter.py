"""The library imports and installs without Jupyter, which the extra `tutorial` brings."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
JUPYTER = {
    *("ipykernel", "ipywidgets", "jupyter_client", "jupyterlab"),
    *("nbclient", "nbconvert", "nbformat", "papermill"),
}
#: The modules that are for use with Jupyter alone.
OF_JUPYTER = {"kernels", "notebook", "notebook_page", "preload", "slider"}
BLOCKED = f"""
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {JUPYTER | {"IPython"}!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""
IMPORT_ALL = """
import erasekit

refused = []
for module in pkgutil.walk_packages(erasekit.__path__, "erasekit."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            refused.append(module.name)
print(*refused)
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_module_imports_but_those_that_are_for_jupyter() -> None:
    done = python(IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"erasekit.tutorial.{name}" for name in sorted(OF_JUPYTER)]


def test_the_tutorial_says_what_to_install() -> None:
    done = python("from erasekit.cli.app import main; main(sys.argv[1:])", "tutorial")
    assert done.returncode == 2
    assert done.stderr == (
        "error: the tutorial needs papermill: pip install 'erasekit[tutorial]'\n"
    )


def brought(extra: str) -> set[str]:
    """What an installation brings, package by package, as the installed ones declare it."""
    optional = PROJECT["optional-dependencies"]
    own = [*PROJECT["dependencies"], *(optional[extra] if extra else ())]
    found, waiting = set(), [(line, "") for line in own]
    while waiting:
        line, extra = waiting.pop()
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        for asked in {"", *wanted.extras}:
            if (name, asked) not in found:
                found.add((name, asked))
                waiting += [(needed, asked) for needed in requires(name) or []]
    return {name for name, _ in found}


# `docs` reads notebooks for the site, with Jupyter's own libraries.
@pytest.mark.parametrize(
    "extra", ["", *sorted(set(PROJECT["optional-dependencies"]) - {"dev", "docs"})]
)
def test_only_the_extra_brings_jupyter(extra: str) -> None:
    jupyter = {canonicalize_name(name) for name in JUPYTER}
    assert brought(extra) & jupyter == (jupyter if extra == "tutorial" else set())
