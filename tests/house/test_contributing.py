"""CONTRIBUTING.md is followed to the letter: each recipe, in a copy of the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from run_mutations import ROOT, copy_tree

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = {
    title: body
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    if title.startswith("Add ")
}
#: A block of code, with the line above it that says where it goes.
BLOCK = re.compile(
    r"^`(?P<file>[^`]+)`(?P<end>, at its end)?(?:, below `(?P<above>[^`]+)`)?:\n\n"
    r"```\w+\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COMMANDS = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST = 15


def put_into(tree: Path, block: re.Match[str]) -> None:
    """Do with a block what the line above it says."""
    path, code, above = tree / block["file"], block["code"], block["above"]
    if block["end"] or above:
        text = path.read_text(encoding="utf-8")
        if above:
            assert text.count(f"{above}\n") == 1, f"{block['file']} has no such line: {above}"
            code = text.replace(f"{above}\n", f"{above}\n{code}")
        else:
            code = text + code
    else:
        assert not path.exists(), f"{block['file']} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")


def test_there_is_a_recipe_for_each_thing_that_can_be_added() -> None:
    things = ("a method", "an attack", "a data form", "a picture", "a notebook")
    assert list(RECIPES) == [f"Add {thing}" for thing in things]


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_is_short_and_every_block_has_a_place(title: str) -> None:
    body = RECIPES[title]
    words = COMMANDS.sub("", BLOCK.sub("", body))
    assert "```" not in words, "a block without a file's name above it"
    assert len([line for line in words.splitlines() if line.strip()]) <= LONGEST
    assert len(COMMANDS.findall(body)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_works_as_it_stands(title: str, tmp_path: Path, test_cache: Path) -> None:
    tree = copy_tree(tmp_path / "copy")
    for block in BLOCK.finditer(RECIPES[title]):
        put_into(tree, block)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(tree),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "ERASEKIT_TEST_CACHE": str(test_cache),
    }
    (commands,) = COMMANDS.findall(RECIPES[title])
    for command in commands.splitlines():
        done = subprocess.run(
            command.removeprefix("$ "),
            shell=True,
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    made = [block["file"] for block in BLOCK.finditer(RECIPES[title])]
    python = [file for file in made if file.endswith(".py")]
    subprocess.run([sys.executable, "-m", "ruff", "check", "-q", *python], cwd=tree, check=True)
    subprocess.run(
        [sys.executable, "-m", "ruff", "format", "-q", "--check", *python], cwd=tree, check=True
    )
