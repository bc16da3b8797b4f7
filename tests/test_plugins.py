"""Names that anyone can add to: built in, by another package's entry point, in a notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support_tiny import TINY

from erasekit.errors import UsageError
from erasekit.plugins import Registry, modules_of
from erasekit.unlearn.methods.cliperase import CLIPErase
from erasekit.unlearn.methods.npo import NPO
from erasekit.unlearn.registry import METHODS, choose_method

METHOD = '''
from dataclasses import dataclass
from typing import ClassVar

from erasekit.unlearn.losses import weighted
from erasekit.unlearn.method import Method


@dataclass(frozen=True)
class Shy(Method):
    """L = push * mean cosine of the forget pairs."""

    name: ClassVar[str] = "shy"
    summary: ClassVar[str] = "forget pairs are pushed apart"
    source: ClassVar[str] = "a test"

    push: float = 1.0

    def loss(self, forget, retain, prompts):
        cosine = lambda: (forget.image_unit * forget.text_unit).sum(1).mean()
        return weighted(("forgetting", self.push, cosine))
'''
ATTACK = """
from erasekit.audit.base import AuditTest, Metric

TEST = AuditTest("stare", "Stare", "Is it there?", "a test", None, (Metric("a", "a", "kept"),))
"""
POINTS = """
[erasekit.methods]
shy = shy_package.shy:Shy
broken = shy_package.missing
cliperase = shy_package.shy:Shy

[erasekit.attacks]
stare = shy_package.stare

[erasekit.pictures]
blank = shy_package.blank:blank
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed package, as pip leaves it."""
    folder = tmp_path_factory.mktemp("site")
    code, facts = folder / "shy_package", folder / "shy_package-1.0.dist-info"
    code.mkdir()
    facts.mkdir()
    (code / "__init__.py").touch()
    (code / "shy.py").write_text(METHOD)
    (code / "stare.py").write_text(ATTACK)
    (code / "blank.py").write_text("def blank():\n    return 'a figure'\n")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: shy-package\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(POINTS)
    return folder


def run(package: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(package), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, timeout=200
    )


def test_a_packages_method_is_listed_and_the_broken_one_named_in_a_line(package: Path) -> None:
    done = run(package, "-m", "erasekit", "list", "methods", "--json")
    assert done.returncode == 0, done.stderr
    listed = {method["name"]: method for method in json.loads(done.stdout)}
    assert listed["shy"]["options"] == {"push": 1.0}
    assert len(listed) > 18 and "broken" not in listed
    assert listed["cliperase"]["options"]["forgetting"] == 3
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 2, done.stderr
    assert "'cliperase' of shy-package, since erasekit has one of that name" in lines[0]
    assert "'broken' of shy-package cannot be loaded: ModuleNotFoundError" in lines[1]


def test_it_erases_from_the_command_line(package: Path, tmp_path: Path, test_cache: Path) -> None:
    given = [f"--set={name}={value}" for name, value in TINY.items()]
    done = run(
        package,
        *("-m", "erasekit", "erase", "--method=shy", "--option=push=2", "--profile=smoke"),
        *("--no-oracle", "--no-control", f"--out={tmp_path / 'run'}", *given),
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "run" / "params.json").read_text())
    assert "shy" in json.dumps(written) and '"push": 2.0' in json.dumps(written)


def test_attacks_and_pictures_are_found_too_and_names_take_no_torch(package: Path) -> None:
    code = (
        "import sys; from erasekit.audit.attack_registry import TESTS; names = list(TESTS);"
        "assert 'torch' not in sys.modules; assert names[0] == 'prompt_leaks';"
        "assert names[-1] == 'stare' and TESTS['stare'].title == 'Stare';"
        "from erasekit import plots; assert plots.blank() == 'a figure'; plots.blnk"
    )
    done = run(package, "-c", code)
    assert "has no attribute 'blnk'" in done.stderr.splitlines()[-1]


def numbers(kind: str = "number") -> Registry[int]:
    own = {"one": "math:pi", "two": "math:tau"}
    return Registry(kind, "erasekit.no_such_group", own, lambda name, found: found)


def test_a_name_is_looked_up_or_refused_with_the_nearest() -> None:
    registry = numbers()
    assert list(registry) == ["one", "two"] and len(registry) == 2
    assert registry["one"] == pytest.approx(3.14159, abs=1e-4)
    assert dict(registry.items()).keys() == {"one", "two"}
    with pytest.raises(UsageError, match="unknown number 'oen': did you mean 'one'"):
        registry["oen"]


def test_a_notebook_registers_its_own_and_cannot_take_a_name_that_is_there() -> None:
    registry = numbers()

    @registry.register
    def three():
        return 3

    assert registry["three"] is three and list(registry)[-1] == "three"

    @registry.register
    def three():  # the cell is run again
        return 4

    assert registry["three"]() == 4

    def one(): ...

    with pytest.raises(UsageError, match="number 'one' already exists"):
        registry.register(one)


def test_modules_are_listed_first_names_first_helpers_never(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    for name in ("__init__", "a", "b", "c", "_helper"):
        (folder / f"{name}.py").write_text("raise SystemExit" if name == "c" else "")
    monkeypatch.syspath_prepend(tmp_path)
    assert modules_of("letters", ("b", "gone")) == {
        "b": "letters.b",
        "a": "letters.a",
        "c": "letters.c",
    }


def test_what_the_settings_told_stays_unless_overridden() -> None:
    told = CLIPErase(forgetting=5, temperature=0.3)
    assert choose_method(None, None, told, "clip") is told
    assert choose_method("cliperase", {}, told, "clip") == told
    assert choose_method(CLIPErase, {"forgetting": 2}, told, "clip") == CLIPErase(
        2, temperature=0.3
    )
    assert choose_method(None, {"consistency": 0}, told, "clip").options()["forgetting"] == 5
    assert choose_method("npo", {}, told, "clip") == NPO()
    assert choose_method(CLIPErase(forgetting=1), {}, told, "clip") == CLIPErase(forgetting=1)
    with pytest.raises(UsageError, match="did you mean 'forgetting'"):
        choose_method(None, {"forgeting": 1}, told, "clip")


def test_get_gives_the_default_for_a_name_that_is_not_there() -> None:
    assert METHODS.get("npo") is NPO
    assert METHODS.get("original") is None and METHODS.get("original", 3) == 3


def test_every_name_loads() -> None:
    assert [method.name for method in METHODS.values()] == list(METHODS)


def test_a_method_of_ones_own_runs_and_is_recorded(tiny_experiment) -> None:
    namespace: dict = {"__name__": "somewhere"}
    exec(compile(METHOD, "somewhere.py", "exec", dont_inherit=True), namespace)
    erasure = tiny_experiment.erase(namespace["Shy"](push=3.0), steps=1)
    assert (erasure.method, erasure.options) == ("shy", {"push": 3.0})
    assert tiny_experiment.erase(namespace["Shy"], options={"push": 2}, steps=1).options == {
        "push": 2.0
    }
