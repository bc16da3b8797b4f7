"""An exercise waits, confirms what is right, and gives the hint that fits a mistake."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasekit.tutorial.exercise import Exercise, number, word, written


def exercise(judge) -> Exercise:
    return Exercise("modify", hint="Begin here.", judge=judge, because="So it is.")


def test_without_an_answer_it_waits_with_the_first_hint() -> None:
    verdict = exercise(number(lambda: 1.0)).verdict(None)
    assert (verdict.status, verdict.text) == ("waiting", "**Your turn.** Begin here.")


def test_a_function_that_returns_nothing_is_no_answer_yet() -> None:
    def judge(answer) -> str | None:
        return None if written(answer, 2) == 4 else "Twice, not once."

    asked = exercise(judge)
    assert asked.verdict(lambda x: None).status == "waiting"
    assert asked.verdict(lambda x: 2 * x).status == "right"
    assert asked.verdict(lambda x: x).text == "**Not yet.** Twice, not once."
    assert "TypeError" in asked.verdict("no function").text


def test_an_answer_that_stops_is_told_why() -> None:
    verdict = exercise(lambda answer: str(written(answer, 1))).verdict(lambda x: x / 0)
    assert verdict.status == "wrong"
    assert "ZeroDivisionError" in verdict.text


@given(st.floats(-100, 100), st.floats(0.001, 5))
def test_a_number_is_right_within_its_tolerance_and_not_beyond(truth: float, within: float) -> None:
    asked = exercise(number(lambda: truth, within))
    assert asked.verdict(truth + 0.9 * within).status == "right"
    assert asked.verdict(truth - 1.1 * within).status == "wrong"
    assert asked.verdict(math.nan).status == "wrong"
    assert asked.verdict("many").status == "wrong"


def test_a_known_mistake_has_its_own_hint() -> None:
    judge = number(lambda n: 1 / n, 0.01, {"That is n.": lambda n: n}, "Think of a guess.")
    assert exercise(judge).verdict(0.25, n=4).text == "**Right.** So it is."
    assert exercise(judge).verdict(4, n=4).text == "**Not yet.** That is n."
    assert exercise(judge).verdict(3, n=4).text == "**Not yet.** 3 is not it. Think of a guess."


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (" Red Apple ", "**Right.** So it is."),
        ("pear", "**Not yet.** That is its neighbour."),
        ("plum", "**Not yet.** 'plum' is not it. Look again."),
        (3, "**Not yet.** `3` is not text: put the answer in quotes."),
    ],
)
def test_a_word(answer, told) -> None:
    judge = word(
        lambda: "red apple", {"That is its neighbour.": lambda: "Pear"}, otherwise="Look again."
    )
    assert exercise(judge).verdict(answer).text == told
