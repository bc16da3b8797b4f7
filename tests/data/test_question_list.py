"""A list of questions, and parts of it."""

from __future__ import annotations

from erasekit.data.drawn.questions import (
    Question,
    Questions,
)


def test_lists_of_questions():
    items = (
        Question("what is this?", "owl", "name", ("owl",), 0),
        Question("can an owl fly?", "yes", "flies", ("owl",)),
        Question("what is this?", "ant", "name", ("ant",), 1),
    )
    asked = Questions(items, ["first", "second"])
    assert len(asked) == 3 and list(asked.take([2, 0])) == [items[2], items[0]]
    assert list(asked.visual) == [items[0], items[2]] and list(asked.textual) == [items[1]]
    assert list(asked.about_any(["owl"])) == list(items[:2])
    assert list(asked.about_none(["owl"])) == [items[2]]
