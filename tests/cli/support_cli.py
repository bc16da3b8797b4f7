"""The command line as a process of its own, and what it answers to misuse."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Asks the command line many things in one process, torch-free as long as all are misuse.
PROBE = """
import contextlib, io, json, sys
from erasekit.cli.app import run
answers = {}
for case, arguments in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    answers[case] = [code, out.getvalue(), err.getvalue(), "torch" in sys.modules]
json.dump(answers, sys.stdout)
"""


def answers_to(cases: Mapping[str, Sequence[object]], folder: Path) -> dict[str, list]:
    """By case: exit code, output, errors, and whether torch had been loaded to answer."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps({case: [*map(str, given)] for case, given in cases.items()}),
        capture_output=True,
        text=True,
        cwd=folder,
        check=True,
    )
    return json.loads(done.stdout)


def check_refused(answer: list, words: str) -> None:
    """One line with these words, code 2, and torch not loaded."""
    code, out, err, torch_loaded = answer
    assert (code, out) == (2, ""), words
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err
    assert not torch_loaded, words


def ask(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process."""
    return subprocess.run(
        [sys.executable, "-m", "erasekit.cli.app", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=600,
        check=False,
    )


def tiny_arguments(tiny: dict, **more: object) -> list[str]:
    """The tiny world as command-line arguments."""
    given = {**tiny, **more}
    steps = given.pop("steps")
    sets = [part for name, value in given.items() for part in ("--set", f"{name}={value}")]
    return ["--profile", "smoke", "--steps", str(steps), *sets]
