"""What the scripts for CIFAR-10 and CIFAR-100 share."""

from __future__ import annotations

import argparse
from pathlib import Path

from _script import make_once, parser

from erasekit.data.published.cifar import Cifar, make_cifar
from erasekit.data.published.common import fetch
from erasekit.data.published.download import verify


def main(published: Cifar, description: str | None, arguments: list[str] | None) -> int:
    """Fetch the archive, unless it is given, and make the folder; returns the exit code."""
    chosen = _parser(published, description).parse_args(arguments)
    out = chosen.out
    return make_once(out, lambda: make_cifar(published, _archive(published, chosen), out))


def _archive(published: Cifar, chosen: argparse.Namespace) -> Path:
    source = published.source
    if chosen.archive is None:
        folder = chosen.out / "source"
        return fetch(source, folder, mirrors=chosen.mirror, checksum=chosen.checksum)
    verify(chosen.archive, chosen.checksum or source.checksum)
    return chosen.archive


def _parser(published: Cifar, description: str | None) -> argparse.ArgumentParser:
    source = published.source
    made = parser(description, mirror="the archive or of its folder")
    made.add_argument(
        "--archive", type=Path, help=f"{source.name}, if it is here already: nothing is fetched"
    )
    made.add_argument(
        "--checksum", help=f"sha256:HEX or md5:HEX, instead of the published {source.checksum}"
    )
    return made
