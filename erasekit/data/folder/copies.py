"""Copies of pictures: of the same bytes, of the same pixels, and pictures that look alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from erasekit.data.folder.spots import content
from erasekit.data.picture_files import cut_square, decode

if TYPE_CHECKING:
    from PIL import Image

    from erasekit.data.folder.listing import Listing

# Bits of 64 in which the hashes of two versions of a picture may differ, and by how much of 255
# their small versions may on average. The hash alone takes plain pictures for each other.
_BITS, _SMALL, _APART = 10, 16, 12.0
# Pictures whose look-alikes are searched: the search takes this times the folder.
_MOST = 2_000


def difference_hash(picture: Image.Image) -> int:
    """64 bits that hardly change when a picture is resized or compressed again.

    Each bit says whether a point of the picture, made 9 × 8 and grey, is brighter than the one to
    its left.
    """
    grey = np.asarray(picture.convert("L").resize((9, 8)), dtype=np.int16)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes())


def copy_kind(listing: Listing, one: int, other: int) -> str:
    """``byte`` or ``pixel``: what two pictures of equal pixels have in common."""
    held = [content(listing.folder, spot) for spot in listing.spots([one, other])]
    return "byte" if held[0] == held[1] else "pixel"


def alike(listing: Listing, asked: np.ndarray, others: np.ndarray) -> dict[int, int]:
    """Pictures among `others` that look like one of `asked`, and the one that each is like.

    Args:
        asked, others: numbers of pictures of the listing; of `asked` the first few thousand count.
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
