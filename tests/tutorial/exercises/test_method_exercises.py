"""Judges of the exercises on methods: right answers, and the hint for each mistake."""

from __future__ import annotations

import random
from typing import Any

import pandas as pd
import pytest
import torch

from erasekit.tutorial.exercises.method_exercises import EXERCISES

METHODS, REPRODUCTION = EXERCISES["09_methods"], EXERCISES["14_reproduce_cliperase"]
ORIGINAL = {"top1_forget": 0.9, "top1_retain": 0.8, "membership_auc_forget": 0.7, "x": 0.1}
OURS = pd.Series(
    {
        ("cifar100", model, subset): value
        for model, forget, retain in (
            ("original", 80.0, 70.0),
            ("erased", 1.0, 72.0),
            ("control", 71.5, 67.0),
        )
        for subset, value in (("forget", forget), ("retain", retain))
    }
)


@pytest.mark.parametrize("exercise", [*METHODS.values(), *REPRODUCTION.values()])
def test_without_an_answer_it_waits(exercise) -> None:
    assert exercise.verdict(None).status == "waiting"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (0.0, None),
        (100 * (0.9 + 0.2) / 4, "without a filter"),
        (100 * 0.2 / 4, "members can still be told"),
        (100 * 0.9 / 4, "still given"),
        (7, "only"),
        ("none", "not a number"),
    ],
)
def test_filter(answer: Any, hint: str | None) -> None:
    check(METHODS["filter"].verdict(answer, original=ORIGINAL), hint)


def projected(images, names):
    basis = torch.linalg.qr(names.T).Q
    return images - images @ basis @ basis.T


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (projected, None),
        (lambda i, n: i - projected(i, n), "inside the span"),
        (lambda i, n: torch.nn.functional.normalize(projected(i, n), dim=1), "without normalising"),
        (lambda i, n: i - i @ n.T @ n, "not orthogonal"),
        (lambda i, n: i, "Nothing changed"),
        (lambda i, n: projected(i, n[:1]), "is still"),
        (lambda i, n: 2 * projected(i, n), "must stay"),
        (lambda i, n: i[:1], "shape"),
    ],
)
def test_null_space(answer: Any, hint: str | None) -> None:
    check(METHODS["null_space"].verdict(answer), hint)


def split(pictures, share, seed):
    different = sorted(set(pictures))
    chosen = set(random.Random(seed).sample(different, round(share * len(different))))
    return [picture in chosen for picture in pictures]


def by_caption(pictures, share, seed):
    rows = set(random.Random(seed).sample(range(len(pictures)), round(share * len(pictures))))
    return [row in rows for row in range(len(pictures))]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (split, None),
        (by_caption, "captions in both parts"),
        (lambda p, share, seed: split(p, share / 2, seed), "it should be 12"),
        (lambda p, share, seed: split(p, share, 0), "Another seed"),
        (lambda p, share, seed: split(p, share, None), "Another call"),
        (lambda p, share, seed: [True], "per row"),
    ],
)
def test_by_picture(answer: Any, hint: str | None) -> None:
    check(REPRODUCTION["by_picture"].verdict(answer), hint)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (8.5 / 79, None),
        (8.5, "in points"),
        (79 / 8.5, "other way round"),
        (71.5 / 80, "ratio of accuracies"),
        (3 / -2, "retained"),
        (5, "is not it"),
    ],
)
def test_explained(answer: Any, hint: str | None) -> None:
    check(REPRODUCTION["explained"].verdict(answer, ours=OURS), hint)


def check(verdict: Any, hint: str | None) -> None:
    assert verdict.status == ("wrong" if hint else "right"), verdict.text
    assert not hint or hint in verdict.text
