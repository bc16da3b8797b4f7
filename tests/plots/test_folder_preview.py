"""What is selected, in pictures and in counts."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image
from support_plots import drawn

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.listing import FolderPairs
from erasekit.data.folder.selection import select
from erasekit.plots import folder_preview as plots
from erasekit.plots.style import FORGOTTEN


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> FolderPairs:
    """Three apples with two captions each, ten dogs, one picture of nothing that is named."""
    folder = tmp_path_factory.mktemp("own")
    rows = [[f"a{i}.png", f"apple {i}", "apple", "train"] for i in range(3)]
    rows += [[f"a{i}.png", "costs $5 or $6, <b>cheap</b> " * 3, "apple", "train"] for i in range(3)]
    rows += [[f"d{i}.png", f"dog\n {i}", "dog", "test" if i < 4 else "train"] for i in range(10)]
    rows += [["n.png", "\U00010380\U00010381", "", "validation"]]  # letters that no font here has
    for colour, name in enumerate(dict.fromkeys(row[0] for row in rows)):
        Image.new("RGB", (30, 20), (colour * 9, 200, 90)).save(folder / name)
    with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["image", "caption", "concept", "split"], *rows])
    return read_folder(folder, progress=False)


@pytest.fixture(scope="module")
def mask(pairs: FolderPairs) -> np.ndarray:
    return select(pairs, "apple")


def test_the_sheet_shows_each_picture_once_and_spreads_over_the_list(pairs, mask) -> None:
    data = plots.contact_sheet_data(pairs, mask, most=8)
    assert list(data.loc[data["side"] == "forget", "row"]) == [0, 1, 2]
    assert list(data.loc[data["side"] == "retain", "row"]) == [6, 9, 13, 16]
    assert list(data["shown"])[3:] == ["dog 0", "dog 3", "dog 7", "(no font draws it)"]
    assert list(data["caption"])[3] == "dog\n 0"


def test_captions_are_cut_to_fit(pairs, mask) -> None:
    view = pairs.take([3, 6])
    shown = plots.contact_sheet_data(view, np.array([True, False]))["shown"][0]
    assert shown == "costs $5 or $6,\n<b>cheap</b> cost…"
    long = plots._told("x" * 99, None).split("\n")
    assert [len(line) for line in long] == [18, 18] and long[1].endswith("…")


def test_a_caption_that_no_font_draws_gives_way_to_the_concept() -> None:
    assert plots._told("\U00010380", "apple") == "(apple)"
    assert plots._told("\U00010380", "\U00010381") == "(no font draws it)"


@pytest.mark.parametrize("most", [24, 8, 1])
def test_the_sheet_is_drawn(pairs, mask, most: int) -> None:
    figure = drawn(plots.contact_sheet(pairs, mask, most))
    data = plots.contact_sheet_data(pairs, mask, most)
    filled = [axes for axes in figure.axes if axes.images]
    assert sorted(axes.get_xlabel() for axes in filled) == sorted(data["shown"])
    frames = [to_hex(axes.spines["left"].get_edgecolor()).upper() for axes in filled]
    assert frames.count(FORGOTTEN) == (data["side"] == "forget").sum()
    titles = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert titles == ["to be forgotten: 3 pictures", "to be kept: 11 pictures"]
    assert filled[0].images[0].get_array().shape == (160, 160, 3)


def test_the_table_counts_both_sides(pairs, mask) -> None:
    table = plots.preview_table(pairs, mask)
    counts = table.drop(columns="examples")
    assert list(counts.loc[("all", "all")]) == [6, 3, 11, 11]
    assert list(counts.loc[("split", "train")]) == [6, 3, 6, 6]
    assert list(counts.loc[("split", "test")]) == [0, 0, 4, 4]
    assert list(counts.loc["concept"].index) == ["apple", "dog"]
    assert list(counts.loc[("concept", "dog")]) == [0, 0, 10, 10]
    assert (counts.loc["split"].sum() == counts.loc[("all", "all")]).all()
    assert table.loc[("concept", "dog"), "examples"] == "dog 0 / dog 1"
    assert "<b>" not in table.to_html()
