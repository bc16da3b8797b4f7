"""Which captions the fonts at hand can draw."""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt

from erasekit.plots import fonts


def test_arabic_is_drawn_only_where_text_is_shaped(monkeypatch):
    monkeypatch.setattr(fonts, "shapes_text", lambda: False)
    assert not fonts.can_draw("بطريق")
    assert fonts.can_draw("пингвин") and fonts.can_draw("a penguin")
    monkeypatch.setattr(fonts, "shapes_text", lambda: True)
    assert fonts.can_draw("بطريق")


def test_japanese_is_drawn_and_the_usual_font_stays_first(caplog) -> None:
    usual = plt.rcParams["font.family"]
    assert fonts.font_families()[0] == fonts.BASE and fonts.can_draw("ペンギンの絵")
    with plt.rc_context({"font.family": fonts.font_families()}), warnings.catch_warnings():
        warnings.simplefilter("error")  # a missing glyph is a warning
        figure = plt.figure(figsize=(1, 1))
        figure.text(0, 0.5, "penguin ペンギン")
        figure.text(0, 0.2, "ペンギン", weight="bold")
        figure.canvas.draw()
        plt.close(figure)
    assert not caplog.records, "a missing face is a line in the log"
    assert plt.rcParams["font.family"] == usual, "importing the font's package would change it"
