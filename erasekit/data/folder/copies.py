"""Copies of pictures: equal bytes, equal pixels, and similar appearance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from erasekit.data.folder.spots import content
from erasekit.data.picture_files import cut_square, decode

if TYPE_CHECKING:
    from PIL import Image

    from erasekit.data.folder.listing import Listing

# Thresholds for look-alikes: differing bits of 64 in the hash, side of the thumbnails, and their
# mean difference (of 255). The hash alone confuses plain pictures.
_BITS, _SMALL, _APART = 10, 16, 12.0
# Maximum number of pictures to search look-alikes for: the cost is this times the folder's size.
_MOST = 2_000


def difference_hash(picture: Image.Image) -> int:
    """Compute a 64-bit hash that is robust to resizing and recompression.

    The picture is reduced to 9 × 8 grey pixels; each bit says whether a pixel is brighter than
    its left neighbour.
    """
    grey = np.asarray(picture.convert("L").resize((9, 8)), dtype=np.int16)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes())


def copy_kind(listing: Listing, one: int, other: int) -> str:
    """Return ``byte`` or ``pixel``: what two pictures with equal pixels have in common."""
    held = [content(listing.folder, spot) for spot in listing.spots([one, other])]
    return "byte" if held[0] == held[1] else "pixel"


def alike(listing: Listing, asked: np.ndarray, others: np.ndarray) -> dict[int, int]:
    """Map pictures in `others` to the picture in `asked` that they look like.

    Args:
        asked, others: picture numbers of the listing; only the first 2,000 of `asked` are used.
    """
    hashes, found = listing.hashes, dict[int, int]()
    for one in asked[:_MOST].tolist():
        near = np.bitwise_count(hashes[others] ^ hashes[one]) <= _BITS
        for other in others[near].tolist():
            if other not in found and _similar(listing, one, other):
                found[other] = one
    return found


def _similar(listing: Listing, one: int, other: int) -> bool:
    small = [
        cut_square(decode(content(listing.folder, spot)), _SMALL).astype(np.float64)
        for spot in listing.spots([one, other])
    ]
    return float(np.abs(small[0] - small[1]).mean()) <= _APART
