"""A notebook in a process of its own: it ends with its worker, and with its memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from support_notebooks import write_notebook

from erasekit.tutorial import notebook_unit
from erasekit.tutorial.notebook_unit import NotebookUnit, run_notebook_unit

SLEEPS = "import time, pathlib; pathlib.Path(out, 'begun').touch(); time.sleep(300)"


def test_a_notebook_that_takes_more_memory_than_its_worker_has_is_ended(tmp_path, monkeypatch):
    book = write_notebook(tmp_path / "book.ipynb", "out: str = ''", SLEEPS)
    unit = NotebookUnit("book.ipynb", book.read_text(), {}, "key", 1, str(tmp_path))
    monkeypatch.setattr(notebook_unit, "_memory_limit", lambda: 20 * 2**20)
    started = time.monotonic()
    made = run_notebook_unit(unit)
    assert "GiB, more than the 0.0 of its worker" in made.failure
    assert time.monotonic() - started < 200


def test_it_ends_when_its_worker_does(tmp_path: Path):
    book = write_notebook(tmp_path / "book.ipynb", "out: str = ''", SLEEPS)
    order = {"notebook": str(book), "folder": str(tmp_path / "run"), "parameters": {}}
    process = subprocess.Popen(
        [sys.executable, "-m", "erasekit.tutorial.notebook_unit"], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()
    while not (tmp_path / "run" / "begun").exists():
        assert process.poll() is None
        time.sleep(0.2)
    process.stdin.close()  # as the system does when the worker is killed
    assert process.wait(timeout=300) == 1
