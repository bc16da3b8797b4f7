"""Random label's loss is the cross-entropy of a wrong caption."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from support_methods import SHAPES, both, rows_unit, softmax, value

from erasekit.unlearn.methods.random_label import RandomLabel


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_random_label_is_the_cross_entropy_of_a_wrong_caption(n, d, seed) -> None:
    forget, retain = both(n, d, seed)
    total = 0.0
    captions = rows_unit(retain.text)
    for i, (picture, own) in enumerate(
        zip(rows_unit(forget.image), rows_unit(forget.text), strict=True)
    ):
        logits = [7 * float(picture @ row) for row in (*captions, own)]
        total -= math.log(softmax(logits)[i])
    terms = RandomLabel(forgetting=2).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(2 * total / n)
    few = dataclasses.replace(retain, text=retain.text[:1], image=retain.image[:1])
    assert math.isfinite(value(RandomLabel(retention=0).loss(forget, few, None), "forgetting"))
