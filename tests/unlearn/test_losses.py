"""The losses that methods share, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from erasekit.unlearn.losses import kl_divergence


def test_the_kl_of_known_distributions() -> None:
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    assert float(kl_divergence(p, q)) == pytest.approx(
        0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    )
    assert float(kl_divergence(q, p)) != pytest.approx(float(kl_divergence(p, q)))
    assert float(kl_divergence(p + 3, p)) == pytest.approx(0, abs=1e-6)  # shifts do not matter
