"""The first code cell: installs erasekit on Colab, and does nothing elsewhere."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
import types
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell
from support_notebooks import NOTEBOOKS, PATHS, read
from traitlets.config import Config

#: What of a notebook's code takes which extra, beside `tutorial`.
EXTRAS = {
    "mllm": r'kind="language"',
    "data": r"erasekit\.data\.folder|import .*(reproduction|deletion_desk)",
    "requests": r"import .*deletion_desk",
}
each_notebook = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteractiveShell]:
    config = Config()
    config.HistoryManager.enabled = False
    main = sys.modules["__main__"]  # a shell puts its own there, from which no process can start
    yield InteractiveShell(config=config, ipython_dir=str(tmp_path_factory.mktemp("ipython")))
    sys.modules["__main__"] = main


@pytest.fixture
def installed(shell: InteractiveShell) -> Iterator[list[str]]:
    """What `%pip` was asked for, instead of being done."""
    asked: list[str] = []
    shell.register_magic_function(asked.append, "line", "pip")
    yield asked
    shell.reset()


def first_cell(path) -> str:
    return next(cell for cell in read(path).cells if cell.cell_type == "code").source


@each_notebook
def test_on_colab_it_installs_the_folder_with_what_the_notebook_needs(
    path, shell, installed, monkeypatch
):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    shell.run_cell(first_cell(path)).raise_error()
    sources = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")
    extras = ["tutorial", *(name for name, sign in EXTRAS.items() if re.search(sign, sources))]
    assert [shlex.split(line) for line in installed] == [
        ["install", "-q", f"/content/erasekit[{','.join(extras)}]"]
    ]
    project = tomllib.loads((NOTEBOOKS.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "erasekit"
    assert {"tutorial", *EXTRAS} <= set(project["optional-dependencies"])


@each_notebook
def test_elsewhere_it_does_nothing(path, shell, installed):
    assert "google.colab" not in sys.modules
    before = set(shell.user_ns)
    shell.run_cell(first_cell(path)).raise_error()
    assert installed == []
    assert set(shell.user_ns) - before == {"sys"}


@each_notebook
def test_it_is_the_first_thing_below_the_title(path):
    cell = read(path).cells[1]
    assert cell.id == "code-colab"
    assert cell.source == first_cell(path)
    assert len([line for line in cell.source.splitlines() if line]) <= 4
