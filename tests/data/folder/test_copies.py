"""Copies of pictures: which files look alike, and which do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from support_folder import noise

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.copies import alike, difference_hash

pytestmark = pytest.mark.usefixtures("own_cache")


def scene(seed: int) -> Image.Image:
    """A picture with soft shapes, as photographs have."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC)


def test_versions_of_a_picture_are_alike_and_others_are_not(tmp_path: Path) -> None:
    made = {
        "asked.png": scene(0),
        "thumb.png": scene(0).resize((60, 45)),
        "jpeg.jpg": scene(0),
        "soft.png": scene(0).filter(ImageFilter.GaussianBlur(1)),
        "other.png": scene(1),
        "noise.png": noise(160, 120),
        "black.png": Image.new("RGB", (160, 120)),
        "white.png": Image.new("RGB", (160, 120), "white"),
    }
    rows = ["image,caption"]
    for name, picture in made.items():
        picture.save(tmp_path / name)
        rows.append(f"{name},{name}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    listing = read_folder(tmp_path, progress=False).listing
    names = listing.paths(range(len(made)))
    found = {}
    for asked in range(len(made)):
        others = np.array([i for i in range(len(made)) if i != asked])
        found[names[asked]] = {names[i] for i in alike(listing, np.array([asked]), others)}
    assert found["asked.png"] == {"thumb.png", "jpeg.jpg", "soft.png"}
    assert all(found[name] == set() for name in ("other.png", "noise.png", "black.png"))


def test_the_hash_says_where_a_picture_grows_brighter() -> None:
    ramp = Image.fromarray(np.tile(np.arange(0, 180, 10, dtype=np.uint8), (16, 1)))
    assert difference_hash(ramp) == 2**64 - 1
    assert difference_hash(ramp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0
