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

ROOT = Path(__file__).resolve().parent.parent


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements() -> list[str]:
    return [*project()["dependencies"], *project()["optional-dependencies"]["dev"]]


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): pin for name, pin in pins}


def test_environment_yml_keeps_step_with_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *plain, last = environment["dependencies"]
    assert f"python{project()['requires-python']}" in plain
    assert last["pip"] == [*requirements(), "--editable ."]


@pytest.mark.parametrize("requirement", requirements())
def test_the_tested_version_is_in_the_stated_range(requirement: str):
    wanted = Requirement(requirement)
    pin = constraints()[canonicalize_name(wanted.name)]
    assert wanted.specifier.contains(pin)
    if wanted.marker is None or wanted.marker.evaluate():
        assert version(wanted.name).split("+")[0] == pin, "constraints.txt is not what is installed"


def test_no_address_of_a_registry_or_a_machine_is_committed():
    text = (ROOT / "constraints.txt").read_text() + (ROOT / "environment.yml").read_text()
    assert not re.search(r"https?://|file:|@ ", text)


def test_the_tests_run_by_ci_are_the_readmes():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in (ROOT / "README.md").read_text()
    assert "make test" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
