"""A real run, certified once; tests that change it take a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support_certificate import FORGOTTEN, NO_LEAK, audited_copy, policy_of, write_keys

from erasekit.certificate.certificate import certify


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def certified_once(
    whole_run: Path, tmp_path_factory: pytest.TempPathFactory, keys: tuple[Path, Path]
) -> Path:
    """An audited run with a signed certificate: one criterion never fails, one always."""
    run = audited_copy(whole_run, tmp_path_factory.mktemp("certified") / "run")
    certify(run, policy_of({**FORGOTTEN, "at_most": -1}, NO_LEAK), keys[0])
    return run


@pytest.fixture
def certified(certified_once: Path, tmp_path: Path) -> Path:
    return shutil.copytree(certified_once, tmp_path / "run")


@pytest.fixture
def run(whole_run: Path, tmp_path: Path) -> Path:
    """An audited run without a certificate."""
    return audited_copy(whole_run, tmp_path / "run")
