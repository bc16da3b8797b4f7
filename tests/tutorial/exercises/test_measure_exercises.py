"""Exercises of 06 to 08: the right answer, a hint for each mistake, and no answer waits."""

from __future__ import annotations

import pytest

from erasekit.evaluate.scorecard import Row, Scorecard
from erasekit.tutorial.exercises.measure_exercises import EXERCISES

CARD = Scorecard(
    {},
    {},
    [
        Row(model, "membership_auc", "forget", "pair", value, value, value, 10)
        for model, value in {"original": 0.9, "erased": 0.4}.items()
    ],
)


@pytest.mark.parametrize("answer", [None, lambda *given: None])
def test_without_an_answer_06_waits(answer):
    for exercise in EXERCISES["06_evaluation"].values():
        if answer is None or exercise.level == "build":
            assert exercise.verdict(answer).status == "waiting"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [(0.6, ""), (0.4, "change the sign"), (0.1, "original model"), (0.75, "not the first five")],
)
def test_other_side(answer, hint):
    verdict = EXERCISES["06_evaluation"]["other_side"].verdict(answer, scorecard=CARD)
    assert verdict.status == ("wrong" if hint else "right")
    assert hint in verdict.text


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda a, b: (a < b.min()).float().mean(), ""),
        (lambda a, b: (a < b.min()).sum(), "a count"),
        (lambda a, b: (a <= b.min()).float().mean(), "not `<=`"),
        (lambda a, b: (a < b.max()).float().mean(), "its lowest"),
        (lambda a, b: (a > b.max()).float().mean(), "the other side"),
        (lambda a, b: a.mean(), "it should give 0.40"),
    ],
)
def test_below_all(answer, hint):
    verdict = EXERCISES["06_evaluation"]["below_all"].verdict(answer)
    assert verdict.status == ("wrong" if hint else "right")
    assert hint in verdict.text
