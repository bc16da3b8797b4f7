"""Read pictures that somebody else made; refuse what is damaged or too large."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np

from erasekit.errors import reason

if TYPE_CHECKING:
    from PIL import Image

#: Formats that PIL decodes by itself; others, such as EPS, start further programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

_MOST_PIXELS = 50_000_000
_LONGEST = 16  # times as long as short
_THREADS = min(8, os.cpu_count() or 1)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def opened(file: Path | IO[bytes]) -> Image.Image:
    """A picture whose header has been read, and whose pixels have not.

    Raises:
        ValueError: when it is damaged, of another format, or too large; says which.
    """
    from PIL import Image

    try:
        picture = Image.open(file, formats=FORMATS)
    except Exception as error:  # PIL's decoders raise errors of many kinds
        # PIL's own words for an unknown kind name an address in memory, which tells nobody a thing
        said = "no JPEG, PNG, WebP, GIF or BMP" if "identify" in str(error) else reason(error)
        raise ValueError(said) from error
    width, height = picture.size
    if width * height > _MOST_PIXELS:
        picture.close()
        raise ValueError(f"it is {width} × {height}, more than {_MOST_PIXELS:,} pixels")
    return picture


def decode(held: bytes) -> Image.Image:
    """A picture from its bytes, mode RGB; of a moving one, the first frame.

    Raises:
        ValueError: as `opened`.
    """
    with opened(io.BytesIO(held)) as picture:
        try:
            # Alone, PIL would warn of transparency that goes by the palette.
            by_palette = picture.mode == "P" and "transparency" in picture.info
            return (picture.convert("RGBA") if by_palette else picture).convert("RGB")
        except Exception as error:  # as above
            raise ValueError(reason(error)) from error


def cut_square(picture: Image.Image, size: int) -> np.ndarray:
    """The centre of a picture as CLIP's preprocessing cuts it: uint8, shape (3, size, size)."""
    from PIL import Image

    # Resized as a whole, a very long picture would not fit into memory; nobody sees its ends.
    most = _LONGEST * min(picture.size)
    if max(picture.size) > most:
        picture = _middle(picture, min(picture.width, most), min(picture.height, most))
    # The longer side in whole pixels, as torchvision rounds it.
    short = min(picture.size)
    width, height = (size * side // short for side in picture.size)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(_middle(resized, size, size)).transpose(2, 0, 1)


def _middle(picture: Image.Image, width: int, height: int) -> Image.Image:
    left, top = round((picture.width - width) / 2), round((picture.height - height) / 2)
    return picture.crop((left, top, left + width, top + height))


def in_threads(do: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """`do` of each item, in order, by a few threads: PIL and the disk let others work."""
    with ThreadPoolExecutor(_THREADS) as threads:
        yield from threads.map(do, items)
