"""Read pictures that somebody else made; refuse what is damaged or too large."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING, TypeVar

import numpy as np

from erasekit.errors import UsageError, reason
from erasekit.extras import needed

if TYPE_CHECKING:
    from PIL import Image

#: Formats that are read; others, such as EPS, start further programs. HEIF needs an extra.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
# How a file of HEIF begins, from its fifth byte: a box, and brands of which HEVC pictures have one.
_HEIF = re.compile(rb"ftyp.{0,60}?(heic|heix|hevc|heim|heis|mif1|msf1)", re.DOTALL)

_NONE = "no JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC"
_MOST_PIXELS = 50_000_000
_LONGEST = 16  # times as long as short
_THREADS = min(8, os.cpu_count() or 1)
_lock = Lock()

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def opened(file: Path | IO[bytes]) -> Image.Image:
    """A picture whose header has been read, and whose pixels have not.

    Raises:
        ValueError: when it is damaged, of another format, or too large; says which.
    """
    from PIL import Image

    try:
        # PIL would warn of a size that is refused below; the filter of warnings is no thread's own.
        with _lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(file, formats=_formats(file))
    except UsageError:
        raise
    except Exception as error:  # PIL's decoders raise errors of many kinds
        # PIL's own words for an unknown kind name an address in memory, which tells nobody a thing
        said = _NONE if "identify" in str(error) else reason(error)
        raise ValueError(said) from error
    width, height = picture.size
    if width * height > _MOST_PIXELS:
        picture.close()
        raise ValueError(f"it is {width} × {height}, more than {_MOST_PIXELS:,} pixels")
    return picture


def _formats(file: Path | IO[bytes]) -> list[str]:
    """The formats that a file may have: HEIF only if it begins so, for its package may be missing.

    Raises:
        UsageError: when that is missing.
    """
    from PIL import Image

    with file.open("rb") if isinstance(file, Path) else nullcontext(file) as opened:
        head = opened.read(80)
        opened.seek(0)
    if not _HEIF.match(head[4:]) or b"avif" in head[:40]:
        Image.init()  # PIL's own reader of AVIF may not be built
        return [name for name in FORMATS if name in Image.OPEN and name != "HEIF"]
    needed("pillow_heif", "heif", "reading HEIC pictures").register_heif_opener()
    return ["HEIF"]


def decode(held: bytes) -> Image.Image:
    """A picture from its bytes as a viewer shows it, mode RGB; of a moving one, the first frame.

    It is turned as its EXIF data says, and 16 bits a channel are scaled to 8.

    Raises:
        ValueError: as `opened`; when its numbers have no range that is known.
    """
    from PIL import ImageOps

    with opened(io.BytesIO(held)) as picture:
        try:
            picture.load()
            upright = picture
            with suppress(Exception):  # EXIF data that nobody can read turns nothing
                upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith(("I", "F")):
                upright = _eight_bits(upright)
            # Alone, PIL would warn of transparency that goes by the palette.
            by_palette = upright.mode == "P" and "transparency" in upright.info
            return (upright.convert("RGBA") if by_palette else upright).convert("RGB")
        except Exception as error:  # as above
            raise ValueError(reason(error)) from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    """A grey picture of 16 bits, which PIL alone would clip at 255."""
    from PIL import Image

    values = np.asarray(picture)
    if picture.mode == "F" or values.min(initial=0) < 0 or values.max(initial=0) > 65_535:
        raise ValueError("its pixels are not whole numbers of 8 or 16 bits: save it with such")
    return Image.fromarray((values // 257).astype(np.uint8))


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
