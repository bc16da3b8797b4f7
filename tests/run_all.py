"""The whole proof, in three steps: what `make test` runs.

1. Unit tests; among them every notebook runs by papermill in the smoke profile, and
   what it claims in words is held against the values it recorded.
2. nbval runs what papermill wrote once more, with an empty model cache, so that
   "equals stored" means computed anew and found equal.
3. Coverage of the package is held against its floor.

Two processes share the work, a file of tests to each: starting kernels, importing and
drawing keep one core busy, not two. Run it with the interpreter that erasekit is
installed for: python tests/run_all.py
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from erasekit.tutorial.kernels import kernel_environment
from erasekit.tutorial.reference import reference_seconds

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
NOTEBOOKS = BUILD / "notebooks"
COVERAGE_FLOOR = 90


def main() -> int:
    started = time.perf_counter()
    shutil.rmtree(BUILD, ignore_errors=True)
    NOTEBOOKS.mkdir(parents=True)
    tests_cache = os.environ.get("ERASEKIT_CACHE") or str(BUILD / "cache")
    common = {
        # Two processes with a thread each do more than two with two.
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "ERASEKIT_TEST_NOTEBOOKS": str(NOTEBOOKS),
        "COVERAGE_FILE": str(BUILD / ".coverage"),
    }
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "2",
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",
    ]
    steps: list[tuple[str, list[str], dict[str, str]]] = [
        (
            "unit tests, and every notebook by papermill",
            [*pytest, "tests", "--durations=15", "--cov=erasekit", "--cov-report="],
            {"ERASEKIT_TEST_CACHE": tests_cache},
        ),
        (
            "every executed notebook again by nbval, with an empty cache",
            [
                *pytest,
                "--nbval",
                *longest_first(),
                "--nbval-sanitize-with",
                str(ROOT / "tests" / "nbval_sanitize.cfg"),
                "--nbval-cell-timeout=900",
                "-p",
                "no:cacheprovider",
                "-q",
            ],
            {
                "ERASEKIT_CACHE": str(BUILD / "cache-nbval"),
                "ERASEKIT_PROGRESS": "0",
                **kernel_environment(),
            },
        ),
        (
            f"coverage of the package, at least {COVERAGE_FLOOR} %",
            [sys.executable, "-m", "coverage", "report", f"--fail-under={COVERAGE_FLOOR}"],
            {},
        ),
    ]
    for name, command, extra in steps:
        print(f"\n=== {name} ({_clock(started)})", flush=True)
        code = subprocess.run(command, cwd=ROOT, env={**common, **extra}, check=False).returncode
        if code:
            print(f"\n=== FAILED: {name} ({_clock(started)})", flush=True)
            return code
    print(f"\n=== all passed in {_clock(started)}", flush=True)
    return 0


def longest_first() -> list[str]:
    """The notebooks as papermill will have written them, so that both processes end together."""
    seconds = reference_seconds("smoke")
    names = [path.name for path in (ROOT / "notebooks").glob("*.ipynb")]
    names.sort(key=lambda name: -seconds.get(name.removesuffix(".ipynb"), math.inf))
    return [str(NOTEBOOKS / name) for name in names]


def _clock(started: float) -> str:
    minutes, seconds = divmod(int(time.perf_counter() - started), 60)
    return f"{minutes}:{seconds:02d}"


if __name__ == "__main__":
    sys.exit(main())
