"""Assign each row of a folder to a split, so that no picture is in two splits."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from erasekit.data.arrow_files import mapped, texts
from erasekit.data.worlds import SPLITS

# Folder sizes that are split by the rank of the hashes: with each hash alone, the test split of
# some forty pictures may have only one.
_FEW = 20, 1_000


def split_rows(
    contents: np.ndarray, told: np.ndarray, kept: np.ndarray, pictures: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return the split of each row, and which rows contradict their picture's split.

    A picture is in the first split that its rows give; if none does, a hash of its smallest path
    decides. In a small folder each split has its exact share.

    Args:
        contents: picture of each row, the same for all rows with the same content.
        told: split that each row gives, or −1.
        kept: whether each row counts.
        pictures: the file with their paths.

    Returns:
        Splits, int8, and contradictions, bool, both of shape (rows,).
    """
    split = np.full(len(mapped(pictures)), -1, dtype=np.int8)
    telling = np.flatnonzero((told >= 0) & kept)[::-1]
    split[contents[telling]] = told[telling]  # backwards, so that the first row wins
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
    """Return the split of a path without a given split, as a position in `SPLITS`."""
    return max(0, _hash(path) % 10 - 7)


def _hash(path: str) -> int:
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8])
