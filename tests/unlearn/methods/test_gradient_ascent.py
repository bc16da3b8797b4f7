"""Gradient ascent and its two companions climb the contrastive loss."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from support_methods import SHAPES, both, contrastive, over_batch, rows_unit, value

from erasekit.unlearn.methods.gradient_ascent import GradientAscent
from erasekit.unlearn.methods.gradient_difference import GradientDifference
from erasekit.unlearn.methods.kl_minimization import KLMinimization


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_the_ascents_are_minus_the_contrastive_loss(n: int, d: int, seed: int) -> None:
    forget, retain = both(n, d, seed)
    up = -contrastive(rows_unit(forget.image), rows_unit(forget.text), 7.0)
    down = contrastive(rows_unit(retain.image), rows_unit(retain.text), 7.0)
    alone = GradientAscent().loss(forget, retain, None)
    assert list(alone) == ["forgetting"]
    assert value(alone, "forgetting") == pytest.approx(up)
    terms = GradientDifference(forgetting=2, retention=3).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(2 * up)
    assert value(terms, "retention") == pytest.approx(3 * down)
    terms = KLMinimization(forgetting=1, retention=2).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(up)
    assert value(terms, "retention") == pytest.approx(2 * over_batch(retain), abs=1e-9)
