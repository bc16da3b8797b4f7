"""Pictures of every kind, damaged ones and those that are too large."""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support_folder import (
    noise,
    only_problem,
    problems,
    put,
    simple,
)

from erasekit.data import picture_files
from erasekit.data.folder import spots
from erasekit.data.folder.check import read_folder

NONE = "no JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC"

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (b"", NONE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NONE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", NONE),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, held: bytes, said: str) -> None:
    put(tmp_path / "c.png", held)
    simple(tmp_path, "a.png,a", "c.png,a", "c.png,b")
    want = ("pairs.csv, line 3", "damaged picture", f"c.png: {said}")
    assert only_problem(tmp_path) == want  # once, though two rows show it
    assert len(read_folder(tmp_path, skip_bad=True)) == 1
    assert problems(tmp_path, checks="table") == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_picture_cut_short_is_named(tmp_path: Path, kind: str) -> None:
    held = io.BytesIO()
    noise(64, 64).save(held, kind)
    put(tmp_path / "c.png", held.getvalue())
    simple(tmp_path, "c.png,a")
    assert len(read_folder(tmp_path)) == 1  # whatever its name says
    put(tmp_path / "c.png", held.getvalue()[: len(held.getvalue()) // 2])
    place, found, words = only_problem(tmp_path)
    assert (place, found) == ("pairs.csv, line 2", "damaged picture") and "\n" not in words


def test_pictures_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simple(tmp_path, "a.png,a")
    monkeypatch.setattr(picture_files, "_MOST_PIXELS", 23)
    assert only_problem(tmp_path)[2] == "a.png: it is 6 × 4, more than 23 pixels"
    monkeypatch.setattr(spots, "_MOST_BYTES", 23)
    (tmp_path / "a.png").touch()
    assert only_problem(tmp_path)[2] == "a.png: it has more than 23 bytes"


def test_a_very_long_picture_fits_into_memory(tmp_path: Path) -> None:
    held = io.BytesIO()
    picture = Image.new("RGB", (200_000, 1), (9, 8, 7))
    picture.paste((5, 5, 5), (100_000, 0, 200_000, 1))
    picture.save(held, "PNG")
    put(tmp_path / "a.png", held.getvalue())
    pairs = read_folder(simple(tmp_path, "a.png,a", names=()))
    found = pairs.pixels([0], 512)[0, :, 3]  # resized whole, it would have 157 GB
    assert found[:, 0].tolist() == [9, 8, 7] and found[:, -1].tolist() == [5, 5, 5]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_pictures_of_every_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    held = io.BytesIO()
    picture = Image.new("RGB", (9, 9), (255, 255, 255)).convert(mode)
    how = {"transparency": b"\x05" * 4} if mode == "P" else {}
    picture.save(held, "JPEG" if mode == "CMYK" else "PNG", **how)
    put(tmp_path / "a.png", held.getvalue())
    pairs = read_folder(simple(tmp_path, "a.png,a", names=()))
    assert (pairs.pixels([0], 4) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind: str) -> None:
    values = np.array([[0, 255, 256, 257], [32_896, 40_000, 65_279, 65_535]], dtype=np.uint16)
    held = io.BytesIO()
    Image.fromarray(values).save(held, kind)
    found = np.asarray(picture_files.decode(held.getvalue()))
    assert found[..., 0].tolist() == [[0, 0, 0, 1], [128, 155, 254, 255]]
    assert (found == found[..., :1]).all()


@pytest.mark.parametrize("value", [70_000, -1, 0.5])
def test_pixels_of_no_known_range_are_refused(value: float) -> None:
    held = io.BytesIO()
    kind = np.float32 if value == 0.5 else np.int32
    Image.fromarray(np.full((2, 2), value, dtype=kind)).save(held, "TIFF")
    with pytest.raises(ValueError, match="8 or 16 bits"):
        picture_files.decode(held.getvalue())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_data_says(orientation: int) -> None:
    upright = np.zeros((2, 3, 3), dtype=np.uint8)
    upright[0, 0] = 255  # upper left
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    held = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(held, "PNG", exif=exif)
    assert np.array_equal(np.asarray(picture_files.decode(held.getvalue())), upright)


def test_exif_data_that_nobody_can_read_turns_nothing() -> None:
    held = io.BytesIO()
    Image.new("RGB", (3, 2)).save(held, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert picture_files.decode(held.getvalue()).size == (3, 2)


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "HEIF", "MPO", "GIF", "WEBP"])
def test_other_formats_and_the_first_of_several_frames_are_read(kind: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    held = io.BytesIO()
    first, other = (Image.new("RGB", (16, 16), (shade,) * 3) for shade in (200, 10))
    more = {} if kind in ("AVIF", "HEIF") else {"save_all": True, "append_images": [other]}
    first.save(held, kind, **more)
    found = np.asarray(picture_files.decode(held.getvalue())).astype(int)
    assert found.shape == (16, 16, 3) and abs(found - 200).max() < 6


def test_heic_without_its_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "c.png", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    said = only_problem(simple(tmp_path, "c.png,a"))[2]
    assert "pip install 'erasekit[heif]'" in said
    monkeypatch.delitem(sys.modules, "pillow_heif")
    pytest.importorskip("pillow_heif")
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        picture_files.decode((tmp_path / "c.png").read_bytes())


def test_a_picture_of_countless_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for width, height in ((60_000, 1_000), (12_000, 10_000), (50_000, 50_000)):
        head = b"\x89PNG\r\n\x1a\n" + _chunk(
            b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        )
        put(tmp_path / "c.png", head + _chunk(b"IDAT", b""))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert "pixels" in only_problem(simple(tmp_path, "c.png,a"))[2]


def _chunk(name: bytes, held: bytes) -> bytes:
    return struct.pack(">I", len(held)) + name + held + struct.pack(">I", zlib.crc32(name + held))
