"""Fixtures for the tests of requests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support_postgresql import running

from erasekit.requests import making


@pytest.fixture(scope="session")
def empty_database() -> Iterator[Callable[[], str]]:
    """Make an empty PostgreSQL database and return its address."""
    with running() as empty:
        yield empty


@pytest.fixture
def erasings(whole_run: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was erased, in order; each run folder is a copy of a run that forgets fruit."""
    done: list[str] = []

    def erase(settings, out: Path, **_: object) -> None:
        shutil.copytree(whole_run, out, dirs_exist_ok=True)
        done.append(settings.forget)

    monkeypatch.setattr(making, "run_erase", erase)
    return done
