"""The list of a user's own pairs: its views, and their pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_folder import (
    noise,
    put,
    simple,
)
from torchvision import transforms

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.listing import FolderPairs
from erasekit.errors import RunError, UsageError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> FolderPairs:
    """Thirty pictures, each with two captions."""
    folder = tmp_path_factory.mktemp("many")
    names = [f"{n}.png" for n in range(30)]
    simple(folder, *(f"{name},{name} {k}" for k in "ab" for name in names), names=tuple(names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ERASEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return read_folder(folder, progress=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 59)), st.data())
def test_take_and_where_compose(many: FolderPairs, indices: list[int], data: st.DataObject) -> None:
    view = many.take(indices)
    assert view.captions(range(len(view))) == many.captions(indices)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(view), max_size=len(view))))
    chosen = view.where(mask.astype(bool))
    want = [index for index, keep in zip(indices, mask, strict=True) if keep]
    assert chosen.captions(range(len(chosen))) == many.captions(want)
    assert chosen.picture.tolist() == many.picture[want].tolist()
    assert chosen.split.codes.tolist() == many.split.codes[want].tolist()
    assert [chosen.row(i) for i in range(len(chosen))] == [many.row(i) for i in want]


def test_a_mask_of_another_length_is_refused(many: FolderPairs) -> None:
    with pytest.raises(UsageError, match=r"the mask has shape \(3,\), and there are 60 pairs"):
        many.where(np.ones(3, dtype=bool))


def test_all_rows_of_a_picture_are_in_one_split(many: FolderPairs) -> None:
    splits = {(p, s) for p, s in zip(many.picture, many.split.codes, strict=True)}
    assert len(splits) == 30 and len({s for _, s in splits}) > 1


# Pixels


@pytest.mark.parametrize("size", [(50, 37), (31, 80), (224, 224), (3, 2), (2, 32)])
def test_pixels_are_what_clip_preprocessing_makes(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = noise(*size)
    held = io.BytesIO()
    picture.save(held, "PNG")
    put(tmp_path / "a.png", held.getvalue())
    pairs = read_folder(simple(tmp_path, "c.png,c", "a.png,a", names=("c.png",)))
    bicubic = transforms.InterpolationMode.BICUBIC
    clip = transforms.Compose([transforms.Resize(32, bicubic), transforms.CenterCrop(32)])
    want = torch.from_numpy(np.array(clip(picture))).permute(2, 0, 1)
    found = pairs.pixels([1, 0, 1], 32)
    assert found.shape == (3, 3, 32, 32) and found.dtype == torch.uint8
    assert torch.equal(found[0], found[2]) and not torch.equal(found[0], found[1])
    assert torch.equal(found[0], want)


def test_a_picture_that_went_away_is_named(tmp_path: Path) -> None:
    pairs = read_folder(simple(tmp_path, "a.png,a", "b.png,b"))
    (tmp_path / "b.png").unlink()
    assert pairs.pixels([0], 4).shape == (1, 3, 4, 4)
    with pytest.raises(RunError, match=r"^pairs.csv, line 3: b.png cannot be read: No such file"):
        pairs.pixels([0, 1], 4)
    put(tmp_path / "b.png", b"?")
    with pytest.raises(
        RunError, match=r"b.png cannot be read: no JPEG, PNG, WebP, GIF, BMP, TIFF,"
    ):
        pairs.pixels([1], 4)
