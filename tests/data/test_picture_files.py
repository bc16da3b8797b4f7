"""Pictures of every kind, damaged ones and those that are too large."""

from __future__ import annotations

import io
from pathlib import Path

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

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (b"", "no JPEG, PNG, WebP, GIF or BMP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no JPEG, PNG, WebP, GIF or BMP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no JPEG, PNG, WebP, GIF or BMP"),
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
