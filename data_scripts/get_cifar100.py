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

from erasekit.data.download import verify
from erasekit.data.published import CIFAR100, PAIRS, fetch, make_cifar100
from erasekit.errors import ErasekitError


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    out: Path = chosen.out
    if (out / PAIRS).exists():
        print(f"{out} is whole already; remove it to make it anew")
        return 0
    try:
        archive = chosen.archive
        if archive is None:
            archive = fetch(
                CIFAR100, out / "source", mirrors=chosen.mirror, checksum=chosen.checksum
            )
        else:
            verify(archive, chosen.checksum or CIFAR100.checksum)
        counts = make_cifar100(archive, out)
    except ErasekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: the same command, given again, goes on", file=sys.stderr)
        return 130
    print(f"{out}: " + ", ".join(f"{n:,} {split}" for split, n in counts.items()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument(
        "--archive", type=Path, help=f"{CIFAR100.name}, if it is here already: nothing is fetched"
    )
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="URL",
        help="ask here first: the address of the archive or of its folder; may be given again",
    )
    parser.add_argument(
        "--checksum",
        help=f"sha256:HEX or md5:HEX, instead of the published {CIFAR100.checksum}",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
