"""Kernels forked from a process that has imported already: as fresh as any other."""

from __future__ import annotations

import os
import sys

import pytest
from support_notebooks import read, write_notebook

from erasekit.tutorial import kernels
from erasekit.tutorial.runner import run_notebook

forks = pytest.mark.skipif(not kernels.kernel_environment(), reason="kernels are not forked here")


def _values(path):
    return [
        output["data"]["text/plain"]
        for cell in read(path).cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]


@forks
@pytest.mark.slow
def test_each_notebook_has_a_fresh_process_with_its_own_folder_and_inline_pictures(tmp_path):
    cells = [
        "import os, sys\nbefore = [n for n in globals() if n == 'mark']\nmark = 1\nos.getpid()",
        "before",
        "'torch' in sys.modules",
        "'erasekit' in sys.modules and hasattr(sys.modules['erasekit'], 'mark')",
        "import erasekit\nerasekit.mark = 1\nimport matplotlib\nmatplotlib.get_backend()",
        "os.environ['ERASEKIT_OF_THIS_TEST']",
    ]
    path = write_notebook(tmp_path / "book.ipynb", "steps: int = 3  # how many", *cells)
    seen = []
    for place in ("one", "two"):
        os.environ["ERASEKIT_OF_THIS_TEST"] = place
        try:
            seen.append(_values(run_notebook(path, tmp_path / place)))
        finally:
            del os.environ["ERASEKIT_OF_THIS_TEST"]
    (first, *rest), (second, *again) = seen
    assert first != second != str(os.getpid())
    assert rest[:3] == again[:3] == ["[]", "True", "False"]
    assert "inline" in rest[3] and "inline" in again[3]
    assert (rest[4], again[4]) == ("'one'", "'two'"), "the environment is the caller's of now"


def test_an_installation_that_does_not_know_the_way_takes_the_usual_kernels(monkeypatch):
    monkeypatch.setattr(kernels, "entry_points", lambda **_: ())
    assert kernels.kernel_environment() == {}


def test_only_linux_forks(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert kernels.kernel_environment() == {}
    assert kernels.forking().get_start_method() == "spawn"


@forks
def test_what_the_user_set_is_kept_behind(monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", os.pathsep.join(["/mine", str(kernels._SPECIFICATIONS)]))
    path = kernels.kernel_environment()["JUPYTER_PATH"]
    assert path.split(os.pathsep) == [str(kernels._SPECIFICATIONS), "/mine"]
