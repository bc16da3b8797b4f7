"""Plain papermill, interrupted: the notebook says where."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from support_notebooks import read, write_notebook

ROOT = Path(__file__).parents[2]


def installed(folder: Path) -> dict[str, str]:
    """The environment of a process in which this checkout's engine is installed."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    (name, place), *others = declared["papermill.engine"].items()
    assert not others
    info = folder / "checkout-0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(f"[papermill.engine]\n{name} = {place}\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: checkout\nVersion: 0\n")
    paths = [str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
@pytest.mark.parametrize("engine", [[], ["--engine", "erasekit"]], ids=["plain", "by name"])
def test_an_interrupted_notebook_says_so(tmp_path: Path, engine: list[str]):
    begun, out = tmp_path / "begun", tmp_path / "out.ipynb"
    wait = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(60)"
    path = write_notebook(tmp_path / "book.ipynb", "steps = 3", "1", wait, "2", "3")
    process = subprocess.Popen(
        [sys.executable, "-m", "papermill", *engine, str(path), str(out)],
        env=installed(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode != 0, said
    cells = read(out).cells
    states = [cell.metadata.papermill.status for cell in cells]
    assert states == ["completed"] * 2 + ["failed"] + ["pending"] * 2
    assert cells[2].outputs[-1].evalue.startswith("the notebook was stopped in this cell")


@pytest.mark.slow
def test_a_whole_notebook_is_run_as_papermill_runs_it(tmp_path: Path):
    path = write_notebook(tmp_path / "book.ipynb", "steps = 3", "print(2 * steps)")
    command = [sys.executable, "-m", "papermill", str(path), str(tmp_path / "out.ipynb")]
    subprocess.run([*command, "-p", "steps", "21"], env=installed(tmp_path), check=True)
    cells = read(tmp_path / "out.ipynb").cells
    assert {cell.metadata.papermill.status for cell in cells} == {"completed"}
    assert cells[-1].outputs[0].text == "42\n"
