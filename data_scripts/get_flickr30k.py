"""Make a folder of Flickr30K, by Karpathy's split, that `--data folder:PATH` reads.

The pictures (4.4 GB) are given out on request alone: fill in https://forms.illinois.edu/sec/229675,
fetch flickr30k-images.tar.gz by the link that comes back, and give it here, packed or unpacked. The
split (37 MB) is fetched from Stanford. What the folder then holds: the pictures, the table
`pairs.parquet` with a row a caption, a `DATASET_CARD.md`, and the split in `source/`.

    python data_scripts/get_flickr30k.py --out data/flickr30k --images flickr30k-images.tar.gz
    python data_scripts/get_flickr30k.py --out data/flickr30k --images flickr30k-images/
    python data_scripts/get_flickr30k.py --out data/flickr30k --images flickr30k-images/ \\
        --karpathy dataset_flickr30k.json

Pictures from a folder are linked where the disk allows it, and copied otherwise. No checksum of
the pictures is published: give the one that you know as --checksum. The split is held against the
sum that TensorFlow Datasets records, its author publishing none. It takes the packages requests
and pyarrow: pip install 'erasekit[data]'.

Exit code 0: the folder is whole. 1: a file cannot be had, is damaged or lacks pictures, or the disk
is full; the message names which. 2: the arguments do not fit. 130: stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _script import make_once, parser

from erasekit.data.published.common import fetch
from erasekit.data.published.download import verify
from erasekit.data.published.flickr30k import FLICKR30K_FORM, KARPATHY, make_flickr30k
from erasekit.errors import UsageError


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    return make_once(chosen.out, lambda: _made(chosen))


def _made(chosen: argparse.Namespace) -> dict[str, int]:
    images = _pictures(chosen.images, chosen.checksum)
    karpathy = chosen.karpathy or fetch(KARPATHY, chosen.out / "source", mirrors=chosen.mirror)
    return make_flickr30k(karpathy, images, chosen.out)


def _pictures(images: Path | None, checksum: str | None) -> Path:
    """The pictures that were given, before anything is fetched for them."""
    if images is None:
        raise UsageError(
            "the pictures of Flickr30K are given out on request alone: fill in "
            f"{FLICKR30K_FORM} and give what comes of it as --images ARCHIVE_OR_FOLDER"
        )
    if not images.exists():
        raise UsageError(f"--images {images} does not exist")
    if checksum is not None and images.is_dir():
        raise UsageError("--checksum goes with an archive of pictures: a folder has none")
    verify(images, checksum)
    return images


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__, mirror=f"{KARPATHY.name} or of its folder")
    made.add_argument(
        "--images",
        type=Path,
        metavar="ARCHIVE_OR_FOLDER",
        help="the pictures: a tar or zip, or the folder that it unpacks to",
    )
    made.add_argument(
        "--karpathy",
        type=Path,
        metavar="FILE",
        help=f"dataset_flickr30k.json or {KARPATHY.name}, if it is here already",
    )
    made.add_argument(
        "--checksum", help="sha256:HEX or md5:HEX of the archive of pictures, where you know it"
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
