"""A PostgreSQL of its own for the tests, from Debian's package; without it they are skipped."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NUMBERS = itertools.count()


def programs() -> Path:
    """The folder with `initdb` and `pg_ctl`."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    on_path = shutil.which("initdb")
    for folder in [*reversed(folders), *([Path(on_path).parent] if on_path else [])]:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    pytest.skip("no PostgreSQL is installed: apt-get install postgresql")


@contextmanager
def running() -> Iterator[Callable[[], str]]:
    """Start a server on a socket of its own; yields a function that makes an empty database.

    The function returns the database's address.
    """
    pytest.importorskip("psycopg", reason="pip install 'erasekit[postgresql]'")
    where = programs()
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has a limit
    # PostgreSQL refuses to run as root; the package brings a user for it.
    root = os.geteuid() == 0
    who = {"user": "postgres"} if root else {}
    if root:
        shutil.chown(folder, "postgres")

    def call(program: str, *arguments: str) -> None:
        subprocess.run(
            [where / program, *arguments],
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            timeout=120,
            **who,
        )

    data = str(folder / "data")
    call("initdb", "-D", data, "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8")
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    call("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")

    def empty() -> str:
        import psycopg

        name = f"log{next(_NUMBERS)}"
        to = f"host={folder} user=tester dbname=postgres"
        with psycopg.connect(to, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://tester@/{name}?host={folder}"

    try:
        yield empty
    finally:
        call("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)
