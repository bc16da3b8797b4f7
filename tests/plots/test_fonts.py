"""Which captions the fonts at hand can draw."""

from __future__ import annotations

from erasekit.plots import fonts


def test_arabic_is_drawn_only_where_text_is_shaped(monkeypatch):
    monkeypatch.setattr(fonts, "shapes_text", lambda: False)
    assert not fonts.can_draw("بطريق")
    assert fonts.can_draw("пингвин") and fonts.can_draw("a penguin")
    monkeypatch.setattr(fonts, "shapes_text", lambda: True)
    assert fonts.can_draw("بطريق")
