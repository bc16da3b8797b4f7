"""NPO's loss against its equation, and its limit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_methods import SHAPES, array, both, contrastive, nll, rows_unit, value

from erasekit.errors import UsageError
from erasekit.unlearn.answers import Answers
from erasekit.unlearn.methods.gradient_ascent import GradientAscent
from erasekit.unlearn.methods.npo import NPO, preference_loss


@settings(max_examples=20, deadline=None)
@given(**SHAPES, beta=st.floats(0.05, 5))
def test_npo_weighs_how_much_worse_a_pair_has_become(n, d, seed, beta) -> None:
    forget, retain = both(n, d, seed)
    now = nll(rows_unit(forget.image), rows_unit(forget.text), 7.0)
    before = nll(array(forget.original_image), array(forget.original_text), 5.0)
    expected = np.mean(
        [
            2 / beta * math.log(1 + math.exp(-beta * (a - b)))
            for a, b in zip(now, before, strict=True)
        ]
    )
    terms = NPO(beta=beta).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(expected)
    assert value(terms, "retention") == pytest.approx(
        contrastive(rows_unit(retain.image), rows_unit(retain.text), 7.0)
    )


def test_npos_gradient_is_gradient_ascents_for_a_small_beta() -> None:
    forget, retain = both(5, 4, 3)
    GradientAscent().loss(forget, retain, None)["forgetting"].backward()
    ascent = forget.image.grad.clone()  # type: ignore[union-attr]
    forget.image.grad = None
    NPO(beta=1e-6, retention=0).loss(forget, retain, None)["forgetting"].backward()
    assert torch.allclose(forget.image.grad, ascent, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("beta", [0.1, 2.0])
def test_npos_first_step_is_gradient_ascents(beta: float) -> None:
    """At the original itself 2/β · β · (1 − σ(0)) is 1, whatever β is."""
    nll = torch.tensor([1.0, 3.0], dtype=torch.float64, requires_grad=True)
    rows = Answers(nll, torch.tensor([1, 2]), nll.detach())
    preference_loss(rows, beta).backward()
    assert nll.grad is not None and nll.grad.tolist() == pytest.approx([-0.5, -0.5])


def test_npo_refuses_a_beta_of_zero() -> None:
    with pytest.raises(UsageError, match="beta = 0 must be above 0"):
        NPO.build({"beta": 0})
