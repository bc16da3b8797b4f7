"""Lip's loss is the change of a feature over the length of the noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import unit

from erasekit.unlearn.method import Features
from erasekit.unlearn.methods.lip import Lip, lipschitz_loss


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 7), d=st.integers(2, 6), seed=st.integers(0, 99), scale=st.floats(0.1, 4))
def test_lip_is_the_change_by_the_noise_over_its_length(n, d, seed, scale) -> None:
    image, text, noised = (2 * unit(n, d, seed + i) for i in range(3))
    length = torch.linspace(scale, 2 * scale, n, dtype=torch.float64)
    features = Features(image, text, torch.tensor(7.0), noised_image=noised, noise_norm=length)
    expected = np.mean(
        [
            (math.dist(t, x) + math.dist(i, x)) / (2 * w)
            for i, t, x, w in zip(
                image.tolist(), text.tolist(), noised.tolist(), length.tolist(), strict=True
            )
        ]
    )
    assert float(lipschitz_loss(features)) == pytest.approx(expected)
    terms = Lip().loss(features, features, None)
    assert [(k, float(v)) for k, v in terms.items()] == [("smoothing", pytest.approx(expected))]
