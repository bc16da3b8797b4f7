"""Units of work for tests of the cluster, and the processes of a cluster, started one by one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
#: The unit that ends the process that runs it.
ENDS = 99


def double(number: int) -> int:
    return 2 * number


def fails_at_three(number: int) -> int:
    if number == ENDS:
        time.sleep(0.3)  # until others wait at the same worker
        os._exit(1)
    if number == 3:
        raise ValueError("three is\nnot for me")
    return number


def waits(unit: tuple[str, int, float]) -> tuple[int, int]:
    """Leave a mark in a folder, wait, and say which process it was."""
    folder, number, seconds = unit
    (Path(folder) / f"{number}-{os.getpid()}").touch()
    time.sleep(seconds)
    return number, os.getpid()


def waits_for_a_gate(unit: tuple[str, int]) -> tuple[int, int]:
    """As `waits`; from the third on, until there is a file named gate beside the folder."""
    folder, number = unit
    deadline = time.monotonic() + 120
    made = waits((folder, number, 0.0))
    while number >= 2 and not Path(f"{folder}-gate").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return made


def model(unit: tuple[str, str, bool]) -> str:
    """Make a small entry of the model cache, and note in a file who made it."""
    from erasekit.cache import cached

    log, disk, shared = unit
    os.environ["ERASEKIT_CACHE"] = str(Path(disk) / ("shared" if shared else str(os.getpid())))

    def make(folder: Path) -> None:
        with Path(log).open("a") as file:
            file.write(f"{os.getpid()}\n")
        (folder / "weights").write_text("model")

    folder = cached("model", {"of": "a test"}, make, code="support_cluster")
    time.sleep(0.2)
    return (folder / "weights").read_text()


def stop(
    words: list[str], ready: Callable[[], bool], meanwhile: Callable[[], None]
) -> tuple[int, str, float, list[psutil.Process]]:
    """Run the command line, and press Ctrl-C once `ready`.

    Args:
        meanwhile: called before Ctrl-C.

    Returns:
        the exit code, what it said on standard error, how many seconds it took to stop, and the
        processes that it left.
    """
    # A job in a shell's background is started with Ctrl-C ignored, and hands that on.
    ctrl_c = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{ctrl_c}; from erasekit.cli.app import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        deadline = time.monotonic() + 300
        while not ready():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        meanwhile()
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        pressed = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group
        _, told = process.communicate(timeout=100)
        seconds = time.monotonic() - pressed
        return process.returncode, told, seconds, psutil.wait_procs(children, timeout=10)[1]
    finally:
        process.kill()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of `dask`, killed when the block ends."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def scheduler(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A scheduler that listens at the port already."""
    place = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with started("scheduler", *place) as process:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None
            time.sleep(0.1)
        yield process


def worker(port: int, *options: str) -> Any:
    place = ("worker", f"tcp://127.0.0.1:{port}", "--nthreads", "1", "--no-dashboard", "--no-nanny")
    return started(*place, *options)
