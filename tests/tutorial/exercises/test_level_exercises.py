"""The judges of notebook 10: right answers, and a hint that fits each mistake."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from erasekit.tutorial.exercises.level_exercises import EXERCISES

OURS = EXERCISES["10_our_method"]


@pytest.mark.parametrize("exercise", OURS.values())
def test_it_waits_for_an_answer(exercise):
    assert exercise.verdict(None).status == "waiting"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (SimpleNamespace(method="never_seen", options={"level": "shuffled"}), None),
        (SimpleNamespace(method="never_seen", options={}), "holdout"),
        (SimpleNamespace(method="npo", options={}), "by npo"),
        (0.4, "the erasure itself"),
    ],
)
def test_an_erasure_at_the_shuffled_level(answer, hint):
    judged(OURS["shuffled"].verdict(answer), hint)


def cosines(images, texts):
    return F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T


def off(table):
    return table[~torch.eye(len(table), dtype=torch.bool)]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda images, texts: off(cosines(images, texts)).mean(), None),
        (lambda images, texts: cosines(images, texts).mean(), "leave the diagonal out"),
        (lambda images, texts: cosines(images, texts).diagonal().mean(), "take all others"),
        (lambda images, texts: off(cosines(images, texts)).sum() / 9, "n · (n − 1)"),
        (lambda images, texts: off(images @ texts.T).mean(), "dot products"),
        (lambda images, texts: 0.1, "should give 0.400"),
    ],
)
def test_the_level_of_shuffled_pairs(answer, hint):
    judged(OURS["level"].verdict(answer), hint)


def judged(verdict, hint):
    assert verdict.status == ("wrong" if hint else "right"), verdict.text
    assert hint is None or hint in verdict.text
