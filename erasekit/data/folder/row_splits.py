"""Which split each row of a folder belongs to, so that no picture is in two."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from erasekit.data.arrow_files import mapped, texts


def split_rows(
    contents: np.ndarray, told: np.ndarray, kept: np.ndarray, pictures: Path
) -> tuple[np.ndarray, np.ndarray]:
    """The split of each row, and which rows tell another one than their picture has.

    A picture is in the split that the first of its rows tells; if none does, the smallest of
    its paths decides.

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
    for at, path in enumerate(texts(pictures, "path")):
        if untold[at]:
            split[at] = hashed_split(path)
    splits = split[contents]
    return splits, kept & (told >= 0) & (told != splits)


def hashed_split(path: str) -> int:
    """The split that a path belongs to where none is told, as a position in `SPLITS`."""
    tenth = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8]) % 10
    return max(0, tenth - 7)
