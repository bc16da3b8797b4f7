"""Read pictures from untrusted files; refuse damaged and oversized ones."""

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

#: Formats that are read; others, such as EPS, run external programs. HEIF needs an extra.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
# Start of a HEIF file, from its fifth byte: a box with one of the brands of HEVC pictures.
_HEIF = re.compile(rb"ftyp.{0,60}?(heic|heix|hevc|heim|heis|mif1|msf1)", re.DOTALL)

_NONE = "no JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC"
_MOST_PIXELS = 50_000_000
_LONGEST = 16  # maximum aspect ratio that is decoded whole
_THREADS = min(8, os.cpu_count() or 1)
_lock = Lock()

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def opened(file: Path | IO[bytes]) -> Image.Image:
    """Open a picture: read its header, not its pixels.

    Raises:
        ValueError: when the picture is damaged, of another format, or too large.
    """
    from PIL import Image

    try:
        # PIL warns of sizes that are refused below. Warning filters are shared by all threads.
        with _lock, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(file, formats=_formats(file))
    except UsageError:
        raise
    except Exception as error:  # PIL's decoders raise many kinds of errors
        # PIL's message for an unknown format contains only a memory address.
        said = _NONE if "identify" in str(error) else reason(error)
        raise ValueError(said) from error
    width, height = picture.size
    if width * height > _MOST_PIXELS:
        picture.close()
        raise ValueError(f"it is {width} × {height}, more than {_MOST_PIXELS:,} pixels")
    return picture


def _formats(file: Path | IO[bytes]) -> list[str]:
    """Return the formats to try: HEIF only if the file starts like one, since it needs a package.

    Raises:
        UsageError: when that package is missing.
    """
    from PIL import Image

    with file.open("rb") if isinstance(file, Path) else nullcontext(file) as opened:
        head = opened.read(80)
        opened.seek(0)
    if not _HEIF.match(head[4:]) or b"avif" in head[:40]:
        Image.init()  # PIL may be built without its AVIF reader
        return [name for name in FORMATS if name in Image.OPEN and name != "HEIF"]
    needed("pillow_heif", "heif", "reading HEIC pictures").register_heif_opener()
    return ["HEIF"]


def decode(held: bytes) -> Image.Image:
    """Decode a picture to RGB as a viewer shows it; of an animation, the first frame.

    Applies the EXIF orientation and scales 16 bits per channel to 8.

    Raises:
        ValueError: as `opened`; also when the range of the pixel values is unknown.
    """
    from PIL import ImageOps

    with opened(io.BytesIO(held)) as picture:
        try:
            picture.load()
            upright = picture
            with suppress(Exception):  # unreadable EXIF data is ignored
                upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith(("I", "F")):
                upright = _eight_bits(upright)
            # Avoids a PIL warning about transparency in a palette.
            by_palette = upright.mode == "P" and "transparency" in upright.info
            return (upright.convert("RGBA") if by_palette else upright).convert("RGB")
        except Exception as error:  # as above
            raise ValueError(reason(error)) from error


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Scale a 16-bit grey picture to 8 bits; PIL itself clips it at 255."""
    from PIL import Image

    values = np.asarray(picture)
    if picture.mode == "F" or values.min(initial=0) < 0 or values.max(initial=0) > 65_535:
        raise ValueError("its pixels are not whole numbers of 8 or 16 bits: save it with such")
    return Image.fromarray((values // 257).astype(np.uint8))


def cut_square(picture: Image.Image, size: int) -> np.ndarray:
    """Crop the centre as CLIP's preprocessing does: uint8, shape (3, size, size)."""
    from PIL import Image

    # A very long picture, resized whole, does not fit into memory; its ends are cropped anyway.
    most = _LONGEST * min(picture.size)
    if max(picture.size) > most:
        picture = _middle(picture, min(picture.width, most), min(picture.height, most))
    # Round the longer side as torchvision does.
    short = min(picture.size)
    width, height = (size * side // short for side in picture.size)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(_middle(resized, size, size)).transpose(2, 0, 1)


def _middle(picture: Image.Image, width: int, height: int) -> Image.Image:
    left, top = round((picture.width - width) / 2), round((picture.height - height) / 2)
    return picture.crop((left, top, left + width, top + height))


def in_threads(do: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Apply `do` to each item in a few threads, in order: PIL and disk reads release the GIL."""
    with ThreadPoolExecutor(_THREADS) as threads:
        yield from threads.map(do, items)
