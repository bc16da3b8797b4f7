"""MUNBa's weights solve the bargaining equation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import unit

from erasekit.unlearn.methods.munba import MUNBa


def bargained(forget: np.ndarray, retain: np.ndarray) -> np.ndarray:
    """The weights that solve GᵀG α = 1/α: the minimum of ½ αᵀGᵀGα − Σ log α, by damped Newton."""
    g = np.stack([forget, retain])
    products = g @ g.T
    alpha = 1 / np.linalg.norm(g, axis=1)
    for _ in range(300):
        slope = products @ alpha - 1 / alpha
        step = np.linalg.solve(products + np.diag(alpha**-2), slope)
        alpha = alpha - step / (1 + np.sqrt(max(slope @ step, 0)))
    assert products @ alpha * alpha == pytest.approx(1, rel=1e-6)
    return alpha


@settings(max_examples=50, deadline=None)
@given(
    d=st.integers(2, 8),
    seed=st.integers(0, 999),
    f=st.floats(0.01, 100),
    r=st.floats(0.01, 100),
)
def test_munba_solves_the_bargaining_equation(d: int, seed: int, f: float, r: float) -> None:
    forget, retain = (length * unit(1, d, seed + i)[0] for i, length in enumerate((f, r)))
    cosine = float(forget @ retain) / (f * r)
    assume(cosine > -0.999)
    weights = MUNBa().weigh({"forgetting": forget, "retention": retain})
    alpha = np.array([weights["forgetting"], weights["retention"]])
    assert alpha == pytest.approx(bargained(forget.numpy(), retain.numpy()), rel=1e-5)
    # Both players gain alike relative to what they put in: each gets 1/α.
    step = alpha[0] * forget + alpha[1] * retain
    assert float(forget @ step) == pytest.approx(1 / alpha[0])
    assert float(retain @ step) == pytest.approx(1 / alpha[1])


def test_munba_stays_finite_where_there_is_no_bargain() -> None:
    g = torch.tensor([1.0, 2.0])
    opposite = MUNBa().weigh({"forgetting": -3 * g, "retention": g})
    assert all(math.isfinite(w) for w in opposite.values())
    assert opposite["forgetting"] * -3 * g + opposite["retention"] * g == pytest.approx(0, abs=1e-3)
    assert MUNBa().weigh({"forgetting": 0 * g, "retention": g}) == {
        "forgetting": 1.0,
        "retention": 1.0,
    }
