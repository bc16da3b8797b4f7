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

import sys

import _cifar

from erasekit.data.published.cifar import CIFAR100


def main(arguments: list[str] | None = None) -> int:
    return _cifar.main(CIFAR100, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
