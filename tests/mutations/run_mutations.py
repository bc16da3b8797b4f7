"""Apply each mutation of the list to a copy of the tree, and see whether its tests notice.

    python tests/mutations/run_mutations.py [--only NAME]... [--jobs N] [--record]

A mutation is caught when a test fails. Exit code 1 if fewer than 95 % are, or if the tests fail
without any mutation.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("mutations.yaml")
LEAST_CAUGHT = 0.95
#: Seconds after which tests that a mutation hangs are ended.
PATIENCE = 1200
CAUGHT, SURVIVED, BROKEN = "caught", "SURVIVED", "BROKEN"


@dataclass(frozen=True)
class Mutation:
    """One change that tests must notice.

    Attributes:
        name: what becomes wrong, in words.
        file: which is changed, from the root of the repository.
        old, new: the snippet and what takes its place.
        tests: files of tests, joined by blanks.
        fresh: whether it must not share a model cache, which it could fill with wrong models.
        caught: whether it was seen caught.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    fresh: bool = False
    caught: bool = False

    def applied(self, source: str) -> str:
        """The source with this mutation.

        Raises:
            ValueError: when the snippet does not occur exactly once.
        """
        if (count := source.count(self.old)) != 1:
            raise ValueError(f"'{self.name}': its snippet occurs {count} times in {self.file}")
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Outcome:
    """What the tests made of a mutation: caught, survived or broken, and the test that failed."""

    word: str
    test: str
    seconds: float


def read_mutations() -> list[Mutation]:
    """The list."""
    return [Mutation(**entry) for entry in yaml.safe_load(LIST.read_text(encoding="utf-8"))]


def copy_tree(folder: Path) -> Path:
    """A copy of the repository without what is made in it."""
    made = {".git", ".venv", "runs", "build"}

    def ignored(at: str, names: list[str]) -> set[str]:
        own = made if Path(at) == ROOT else set()
        return {name for name in names if name in own or name == "__pycache__"}

    return Path(shutil.copytree(ROOT, folder, ignore=ignored))


def run_tests(tree: Path, tests: Sequence[str], cache: Path) -> Outcome:
    """Run files of tests in a copy, up to the first failure."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        # No test needs a plugin, and to load them all takes longer than many a test.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "ERASEKIT_TEST_CACHE": str(cache),
    }
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    began = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(BROKEN, "no answer in time", time.perf_counter() - began)
    seconds = time.perf_counter() - began
    word = {0: SURVIVED, 1: CAUGHT}.get(done.returncode, BROKEN)
    found = re.search(r"^(?:FAILED|ERROR) \S+?::(\S+)", done.stdout, re.MULTILINE)
    return Outcome(word, found.group(1) if found else "", seconds)


def try_mutation(mutation: Mutation, tree: Path, cache: Path) -> Outcome:
    """Run the tests of a mutation in a copy, which is as before afterwards."""
    path = tree / mutation.file
    before = path.read_text(encoding="utf-8")
    _replace(path, mutation.applied(before))
    try:
        if not mutation.fresh:
            return run_tests(tree, mutation.tests.split(), cache)
        with tempfile.TemporaryDirectory() as fresh:
            return run_tests(tree, mutation.tests.split(), Path(fresh))
    finally:
        _replace(path, before)


def _replace(path: Path, source: str) -> None:
    path.write_text(source, encoding="utf-8")
    # A compiled file is told from a newer one by seconds and size alone.
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


def try_all(mutations: Sequence[Mutation], jobs: int, folder: Path) -> dict[str, Outcome]:
    """The outcome of each mutation by its name; a line for each as it comes."""
    cache = Path(os.environ.get("ERASEKIT_TEST_CACHE") or folder / "cache")
    trees: queue.Queue[Path] = queue.Queue()
    for job in range(jobs):
        trees.put(copy_tree(folder / f"tree{job}"))
    found: dict[str, Outcome] = {}

    def work(mutation: Mutation) -> None:
        tree = trees.get()
        try:
            found[mutation.name] = outcome = try_mutation(mutation, tree, cache)
        finally:
            trees.put(tree)
        place = f"{len(found):{len(str(len(mutations)))}}/{len(mutations)}"
        print(f"{place} {outcome.word:8} {outcome.seconds:5.0f} s  {mutation.name}", flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(work, mutations))
    return found


def failing(mutations: Sequence[Mutation], folder: Path) -> str:
    """The test that fails without any mutation; empty if none does."""
    tests = dict.fromkeys(test for mutation in mutations for test in mutation.tests.split())
    cache = Path(os.environ.get("ERASEKIT_TEST_CACHE") or folder / "cache")
    outcome = run_tests(copy_tree(folder / "unchanged"), list(tests), cache)
    return "" if outcome.word == SURVIVED else outcome.test or "the tests do not run"


def record(found: dict[str, Outcome]) -> None:
    """Write into the list which were caught."""
    comment, _, _ = LIST.read_text(encoding="utf-8").partition("- name:")
    entries = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    for entry in entries:
        if entry["name"] in found:
            entry.pop("caught", None)
            if found[entry["name"]].word == CAUGHT:
                entry["caught"] = True
    parts = [yaml.dump([e], sort_keys=False, allow_unicode=True, width=1000) for e in entries]
    LIST.write_text(comment + "\n".join(parts), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", action="append", default=[], help="a name, or a part of it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--record", action="store_true", help="write into the list what is caught")
    parser.add_argument("--unchecked", action="store_true", help="do not run the unchanged tree")
    given = parser.parse_args(arguments)
    chosen = [
        mutation
        for mutation in read_mutations()
        if not given.only or any(part in mutation.name for part in given.only)
    ]
    if not chosen:
        parser.error(f"no mutation is called {', '.join(given.only)}")
    with tempfile.TemporaryDirectory() as name:
        if not given.unchecked and (test := failing(chosen, Path(name))):
            print(f"without any mutation a test fails: {test}")
            return 1
        found = try_all(chosen, given.jobs, Path(name))
    width = max(len(mutation.name) for mutation in chosen)
    print()
    for mutation in chosen:
        outcome = found[mutation.name]
        print(f"{mutation.name:{width}}  {outcome.word:8}  {outcome.test or mutation.tests}")
    if given.record:
        record(found)
    caught = sum(outcome.word == CAUGHT for outcome in found.values())
    print(f"\n{caught} of {len(chosen)} mutations caught ({caught / len(chosen):.0%})")
    return int(caught / len(chosen) < LEAST_CAUGHT)


if __name__ == "__main__":
    sys.exit(main())
