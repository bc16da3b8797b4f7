"""Which split each row of a folder belongs to, so that no picture is in two."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from erasekit.data.arrow_files import mapped, texts
from erasekit.data.worlds import SPLITS

# Numbers of pictures that are divided by the order of their hashes: by each hash alone, a test
# split of some forty pictures may have one.
_FEW = 20, 1_000


def split_rows(
    contents: np.ndarray, told: np.ndarray, kept: np.ndarray, pictures: Path
) -> tuple[np.ndarray, np.ndarray]:
    """The split of each row, and which rows tell another one than their picture has.

    A picture is in the split that the first of its rows tells; if none does, a hash of the smallest
    of its paths decides. In a small folder each split has its exact share.

    Args:
        contents: for each row its picture, the same one for all of the same content.
        told: for each row the split that it tells, or −1.
        kept: for each row whether it counts.
        pictures: the file with their paths.

    Returns:
        int8 and bool, each of shape (rows,).
    """
    split = np.full(len(mapped(pictures)), -1, dtype=np.int8)
    telling = np.flatnonzero((told >= 0) & kept)[::-1]
    split[contents[telling]] = told[telling]  # backwards, so that the first has the last word
    untold = np.zeros(len(split), dtype=bool)
    untold[contents[kept & (split[contents] < 0)]] = True
    paths = ((at, path) for at, path in enumerate(texts(pictures, "path")) if untold[at])
    if _FEW[0] <= untold.sum() <= _FEW[1]:
        ranked = [at for at, _ in sorted(paths, key=lambda each: _hash(each[1]))]
        ends = [len(ranked) * tenths // 10 for tenths in (0, 8, 9, 10)]
        for number in range(len(SPLITS)):
            split[ranked[ends[number] : ends[number + 1]]] = number
    else:
        for at, path in paths:
            split[at] = hashed_split(path)
    splits = split[contents]
    return splits, kept & (told >= 0) & (told != splits)


def hashed_split(path: str) -> int:
    """The split that a path belongs to where none is told, as a position in `SPLITS`."""
    return max(0, _hash(path) % 10 - 7)


def _hash(path: str) -> int:
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8])
