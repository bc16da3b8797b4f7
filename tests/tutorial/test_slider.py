"""The slider is there for a person, and leaves no trace where nobody can move it."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest

from erasekit.tutorial import slider


def at_the_front_end(monkeypatch: pytest.MonkeyPatch, answers: bool) -> None:
    shell = SimpleNamespace(kernel=SimpleNamespace(_allow_stdin=answers))
    monkeypatch.setattr(slider, "get_ipython", lambda: shell)


@pytest.mark.parametrize("answers", [True, False])
def test_a_front_end_that_answers_questions_has_a_person_at_it(monkeypatch, answers):
    at_the_front_end(monkeypatch, answers)
    assert slider.attended() is answers


def test_without_a_kernel_nobody_is_there():
    assert not slider.attended()


def test_nothing_is_drawn_or_shown_where_nobody_is(monkeypatch, capsys):
    at_the_front_end(monkeypatch, False)
    slider.show_slider(lambda choice: pytest.fail("drawn"), "weight", [0, 1])
    assert capsys.readouterr().out == ""


def test_moving_the_slider_draws_the_chosen_picture(monkeypatch):
    at_the_front_end(monkeypatch, True)
    drawn, shown = [], []

    def draw(choice):
        drawn.append(choice)
        return plt.figure()

    def interact(redraw, choice):
        shown.append((choice.description, choice.options))
        for value in choice.options:
            choice.value = value
            redraw(choice.value)

    import ipywidgets

    monkeypatch.setattr(ipywidgets, "interact", interact)
    monkeypatch.setattr(slider, "display", shown.append)
    before = plt.get_fignums()
    slider.show_slider(draw, "weight", [0.0, 3.0])
    assert drawn == [0.0, 3.0]
    assert shown[0] == ("weight", (0.0, 3.0))
    assert "weight: 3.0" in shown[2].data
    assert plt.get_fignums() == before
