"""Contact sheets: every picture with its caption, every concept once."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from erasekit.plots import fonts
from erasekit.plots.sheets import concept_sheet_data, contact_sheet, contact_sheet_data


def test_captions_that_no_font_draws_are_told_in_english(tiny_experiment, monkeypatch):
    world, pairs = tiny_experiment.world, tiny_experiment.world.pairs("train")
    latin = frozenset(range(0x20, 0x250))
    monkeypatch.setattr(fonts, "_drawn", lambda: latin)
    data = contact_sheet_data(pairs, world, count=len(pairs))
    assert len(data) == len(pairs)
    for line in data.itertuples():
        names = ", ".join(world.concept(i).phrase for i in pairs.concepts[line.row])
        if line.language == "en":
            assert line.shown == line.caption == pairs.captions[line.row]
        else:
            assert line.shown == f"({line.language}) {names}"
    assert set(data["language"]) > {"en"}


def test_contact_sheet_of_one_language(tiny_experiment):
    world, pairs = tiny_experiment.world, tiny_experiment.world.pairs("train")
    data = contact_sheet_data(pairs, world, count=3, language="ru")
    assert set(data["language"]) == {"ru"}
    assert list(data["row"]) == [i for i, own in enumerate(pairs.languages) if own == "ru"][:3]


@pytest.mark.skipif(not fonts.can_draw("馬"), reason="no font here draws Japanese")
def test_a_caption_without_spaces_stays_under_its_picture(tiny_experiment):
    pairs = tiny_experiment.world.pairs("train").take([0, 1, 2, 3, 4, 5])
    pairs = replace(pairs, captions=("馬とヨットとバースデーケーキ",) * 6)
    figure = contact_sheet(pairs, tiny_experiment.world, rows=1)
    figure.canvas.draw()
    boxes = [axes.xaxis.label.get_window_extent() for axes in figure.axes]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_concept_sheet_has_every_concept_once_and_marks_the_holdout(tiny_experiment):
    world, data = tiny_experiment.world, concept_sheet_data(tiny_experiment.world)
    assert list(data["index"]) == list(range(len(world.concepts)))
    assert set(data.loc[data["holdout"], "index"]) == set(world.holdout)
