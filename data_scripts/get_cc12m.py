"""Fetch shards of Conceptual 12M into a folder that `--data folder:PATH` reads.

Google publishes addresses and captions, not pictures. Others have fetched the pictures: by default
shards come from the Hugging Face data set pixparse/cc12m-wds, 2,176 of some 5,000 pairs each. All
of them are several hundred gigabytes: begin with --most 2. Shards stay as they are, in `shards/`;
`shards.csv` lists them with their pairs, sizes and checksums, and `DATASET_CARD.md` says the rest.

    python data_scripts/get_cc12m.py --out data/cc12m --most 2
    python data_scripts/get_cc12m.py --out data/cc12m --shards /disk/cc12m
    python data_scripts/get_cc12m.py --out data/cc12m \\
        --shards 'https://mirror.example/cc12m/{00000..01242}.tar' --checksums SHA256SUMS

Stopped, or run again with a larger --most, it goes on from there: what is listed is not fetched
again. Shards are held against the checksums that the Hugging Face hub lists, or against --checksums
where they come from elsewhere; without either, against their length alone. Shards from a folder are
linked where the disk allows it. Your own, from Google's list, are made by img2dataset with
--output_format webdataset. It takes the package requests: pip install 'erasekit[data]'.

Exit code 0: the shards are there. 1: one cannot be had or is damaged, or the disk is full; the
message names which. 2: the arguments do not fit. 130: stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _script import parser, run

from erasekit.data.published.cc12m import CC12M, Shard, fetch_cc12m, hub_sums, read_sums, take_cc12m
from erasekit.errors import UsageError


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    return run(lambda: _told(chosen.out, _shards(chosen)))


def _told(out: Path, shards: tuple[Shard, ...]) -> str:
    return f"{out}: {len(shards):,} shards, {sum(each.pairs for each in shards):,} pairs"


def _shards(chosen: argparse.Namespace) -> tuple[Shard, ...]:
    if "://" not in chosen.shards:
        if chosen.mirror or chosen.checksums:
            raise UsageError("--mirror and --checksums go with an address, not with a folder")
        return take_cc12m(Path(chosen.shards), chosen.out, most=chosen.most)
    sums = read_sums(chosen.checksums) if chosen.checksums else hub_sums(chosen.shards)
    return fetch_cc12m(
        chosen.shards, chosen.out, mirrors=chosen.mirror, sums=sums, most=chosen.most
    )


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__, mirror="a folder with the same shards")
    made.add_argument(
        "--shards",
        default=CC12M,
        metavar="URL_OR_FOLDER",
        help="the shards' address, with a range as {0000..2175}, or a folder of *.tar "
        f"(default: {CC12M})",
    )
    made.add_argument("--most", type=int, metavar="N", help="the first N shards only")
    made.add_argument(
        "--checksums",
        type=Path,
        metavar="FILE",
        help="the shards' SHA-256, as the program sha256sum lists them",
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
