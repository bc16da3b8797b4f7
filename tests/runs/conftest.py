"""A run of the tiny world: its settings, and a copy to change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from erasekit.settings import Settings, make_settings


@pytest.fixture
def settings(tiny: dict) -> Settings:
    return make_settings("smoke", **tiny)


@pytest.fixture
def copied(whole_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole_run, tmp_path / "run")
