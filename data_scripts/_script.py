"""What the scripts that fetch a data set share: their arguments, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from erasekit.data.published.common import PAIRS
from erasekit.errors import ErasekitError


def parser(description: str | None, *, mirror: str) -> argparse.ArgumentParser:
    """The arguments that all of them take: ``--out`` and ``--mirror``.

    Args:
        description: the script's own docstring, shown as it is.
        mirror: whose address a mirror is given by.
    """
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--out", type=Path, required=True, help="folder to make")
    made.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="URL",
        help=f"ask here first: the address of {mirror}; may be given again",
    )
    return made


def run(work: Callable[[], str]) -> int:
    """Do the work and print what it says; an error or a Ctrl-C is one line.

    Returns:
        the exit code.
    """
    try:
        print(work())
    except ErasekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: the same command, given again, goes on", file=sys.stderr)
        return 130
    return 0


def make_once(out: Path, make: Callable[[], dict[str, int]]) -> int:
    """Make a folder with a table of pairs, unless it is whole already, and print its counts.

    Args:
        out: the folder.
        make: makes it; returns the number of pairs in each split.

    Returns:
        the exit code.
    """

    def work() -> str:
        if (out / PAIRS).exists():
            return f"{out} is already complete; remove it to make it again"
        return f"{out}: " + ", ".join(f"{n:,} {split}" for split, n in make().items())

    return run(work)
