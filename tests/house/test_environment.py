"""The files that say what to install agree with each other."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, EXTRAS = PYPROJECT["project"], PYPROJECT["project"]["optional-dependencies"]


def requirements(extra: str = "dev") -> list[str]:
    """What `pip install -e .[extra]` asks for, erasekit's other extras written out."""
    lines = list(PROJECT["dependencies"])
    for line in EXTRAS[extra]:
        wanted = Requirement(line)
        lines += (
            [each for name in sorted(wanted.extras) for each in EXTRAS[name]]
            if wanted.name == "erasekit"
            else [line]
        )
    return list(dict.fromkeys(lines))


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): pin for name, pin in pins}


def test_make_conda_and_uv_install_all_that_the_tests_need() -> None:
    (everything,) = (Requirement(line) for line in EXTRAS["dev"] if line.startswith("erasekit"))
    assert everything.extras == set(EXTRAS) - {"dev"}
    *plain, last = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert f"python{PROJECT['requires-python']}" in plain
    assert last["pip"] == ["--editable .[dev]"]
    assert PYPROJECT["dependency-groups"]["dev"] == ["erasekit[dev]"]
    assert '-e ".[dev]"' in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("requirement", requirements())
def test_the_tested_version_is_in_the_stated_range(requirement: str):
    wanted = Requirement(requirement)
    pin = constraints()[canonicalize_name(wanted.name)]
    assert wanted.specifier.contains(pin)
    if wanted.marker is None or wanted.marker.evaluate():
        assert version(wanted.name).split("+")[0] == pin, "constraints.txt is not what is installed"


def test_every_admitted_python_is_named_and_in_the_matrix_of_ci() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    admitted = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    language = "Programming Language :: Python :: "
    named = [line.removeprefix(language) for line in PROJECT["classifiers"] if language in line]
    assert named == admitted
    first, last = (int(each.split(".")[1]) for each in (admitted[0], admitted[-1]))
    assert PROJECT["requires-python"] == f">=3.{first},<3.{last + 1}"


def test_no_address_of_a_registry_or_a_machine_is_committed():
    names = ("constraints.txt", "environment.yml", "pyproject.toml")
    text = "".join((ROOT / name).read_text() for name in names)
    assert not re.search(r"https?://|file:|@ ", text)
    assert not (ROOT / "uv.lock").exists() or "uv.lock" in (ROOT / ".gitignore").read_text()


def test_the_tests_run_by_ci_are_the_readmes():
    for name in (".ci/run", "README.md", ".github/workflows/ci.yml"):
        assert "make test" in (ROOT / name).read_text()
