"""Fetch CIFAR-100 and make a folder of it that `--data folder:PATH` reads.

The archive (161 MB, the binary version) comes from the University of Toronto and is held against
the checksum that is published there. What the folder then holds: the pictures as PNG, the table
`pairs.parquet`, a `DATASET_CARD.md`, and the archive in `source/`, which may be removed.

    python data_scripts/get_cifar100.py --out data/cifar100
    python data_scripts/get_cifar100.py --out data/cifar100 --mirror https://mirror.example/cifar
    python data_scripts/get_cifar100.py --out data/cifar100 --archive cifar-100-binary.tar.gz

Stopped, it goes on from there when it is run again. It takes the packages requests and pyarrow:
pip install 'erasekit[data]'.

Exit code 0: the folder is whole. 1: the archive cannot be had, is damaged, or the disk is full; the
message names which. 2: the arguments do not fit. 130: stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _script import make_once, parser

from erasekit.data.published.cifar100 import CIFAR100, make_cifar100
from erasekit.data.published.common import fetch
from erasekit.data.published.download import verify


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    return make_once(chosen.out, lambda: make_cifar100(_archive(chosen), chosen.out))


def _archive(chosen: argparse.Namespace) -> Path:
    if chosen.archive is None:
        source = chosen.out / "source"
        return fetch(CIFAR100, source, mirrors=chosen.mirror, checksum=chosen.checksum)
    verify(chosen.archive, chosen.checksum or CIFAR100.checksum)
    return chosen.archive


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__, mirror="the archive or of its folder")
    made.add_argument(
        "--archive", type=Path, help=f"{CIFAR100.name}, if it is here already: nothing is fetched"
    )
    made.add_argument(
        "--checksum",
        help=f"sha256:HEX or md5:HEX, instead of the published {CIFAR100.checksum}",
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
