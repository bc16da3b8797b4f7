"""One notebook as a unit of a sweep: run in a process of its own, returned as an archive.

    python -m erasekit.tutorial.notebook_unit < ORDER.json

papermill wants a main thread for itself, and a notebook that fails or takes too much memory must
not take the worker with it. The process ends when its worker does.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from erasekit.errors import ErasekitError, RunError
from erasekit.files import sha256_folder, write_json

#: What a run is: its parameters, what came of it, and the checksum of every other file.
RECORD, LOG = "unit.json", "log.txt"
_POLL = 0.5


@dataclass(frozen=True)
class NotebookUnit:
    """A notebook to run, with all that a worker on another machine needs for it.

    Attributes:
        file: the notebook's file name.
        text: its content.
        key: a hash of the notebook, its parameters and the code behind them.
        cwd: where the sweep was started; a worker that has this folder works in it.
    """

    file: str
    text: str
    parameters: dict[str, Any]
    key: str
    threads: int
    cwd: str


@dataclass(frozen=True)
class Made:
    """The run folder of a unit as a tar, the archive's checksum, and why the notebook failed."""

    archive: bytes
    sha256: str
    failure: str


def run_notebook_unit(unit: NotebookUnit) -> Made:
    """Run a notebook; what a worker does."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="erasekit-") as place:
        notebook, folder = Path(place) / unit.file, Path(place) / "run"
        notebook.write_text(unit.text, encoding="utf-8")
        folder.mkdir()
        failure = _in_its_process(unit, notebook, folder)
        record = {
            "version": 1,
            "notebook": Path(unit.file).stem,
            "parameters": unit.parameters,
            "key": unit.key,
            "failure": failure,
            "seconds": round(time.monotonic() - started, 1),
            "files": sha256_folder(folder),
        }
        write_json(folder / RECORD, record)
        return pack(folder, failure)


def pack(folder: Path, failure: str) -> Made:
    """A folder as an archive with its checksum."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(folder, arcname=".")
    data = content.getvalue()
    return Made(data, hashlib.sha256(data).hexdigest(), failure)


def _in_its_process(unit: NotebookUnit, notebook: Path, folder: Path) -> str:
    """Why the notebook failed, in a line; empty where it ran to its end."""
    threads = {f"{name}_NUM_THREADS": str(unit.threads) for name in ("OMP", "MKL", "OPENBLAS")}
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=unit.cwd if Path(unit.cwd).is_dir() else None,
            env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C is for the worker, which then ends this
        )
        assert process.stdin is not None
        order = {"notebook": str(notebook), "folder": str(folder), "parameters": unit.parameters}
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
            too_much = _watch(process)
        finally:
            with suppress(OSError):
                process.stdin.close()  # which ends it, if it is not at its end
            process.wait()
    if too_much:
        return too_much
    if process.returncode == 0:
        return ""
    lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return said[-1] if said else f"its process ended with exit code {process.returncode}"


def _watch(process: subprocess.Popen[bytes]) -> str:
    """Wait for the process; why it was ended, where it took more memory than its worker has."""
    most = _memory_limit()
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL)
            return ""
        if most and (used := _memory(process.pid)) > most:
            return f"it took {used / 2**30:.1f} GiB, more than the {most / 2**30:.1f} of its worker"


def _memory_limit() -> int:
    if "distributed" in sys.modules:
        from distributed import get_worker

        with suppress(ValueError):  # in no worker
            return get_worker().memory_manager.memory_limit or 0
    return 0


def _memory(pid: int) -> int:
    """Bytes that a process and its children hold alone."""
    total = 0
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for one in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error):
                total += one.memory_full_info().uss
    return total


def main() -> int:
    """In the process of one notebook: run it, tell of its cells, and render its page."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_worker, daemon=True).start()
    from erasekit.tutorial.runner import check_extra, run_notebook

    check_extra()
    from erasekit.tutorial.notebook_page import render_notebook

    notebook, folder = Path(order["notebook"]), Path(order["folder"])
    code = 0
    try:
        run_notebook(notebook, folder, order["parameters"], tell=_tell, forked=False)
    except ErasekitError as error:
        print(f"error: {str(error).replace(str(folder), '.')}")
        code = error.exit_code
    if (executed := folder / notebook.name).is_file():
        with suppress(RunError):  # of a notebook that was never begun
            render_notebook(executed, executed.with_suffix(".html"), back="../index.html")
    return code


def _tell(cell: str) -> None:
    print(cell, flush=True)


def _end_with_worker() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
