"""SSD shrinks what matters more to the forgotten, by how much more."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_methods import POSITIVE, Written

from erasekit.unlearn.methods.ssd import SSD


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(st.floats(-5, 5), POSITIVE, POSITIVE), min_size=1, max_size=6),
    alpha=st.floats(0, 20),
    dampening=st.floats(0, 3),
)
def test_ssd_shrinks_what_matters_more_to_the_forgotten(rows, alpha, dampening) -> None:
    theta, forget, retain = (torch.tensor(c, dtype=torch.float64) for c in zip(*rows, strict=True))
    look = Written({"w": theta}, {"w": forget}, {"w": retain})
    SSD(alpha=alpha, dampening=dampening).finish(look)
    expected = [w * min(dampening * r / f, 1) if f > alpha * r else w for w, f, r in rows]
    assert look.weights["w"].tolist() == pytest.approx(expected)


def test_ssd_leaves_what_matters_to_no_forget_pair_bit_for_bit() -> None:
    theta = torch.tensor([0.1, -0.2, 0.3])
    look = Written({"w": theta}, {"w": torch.zeros(3)}, {"w": torch.tensor([0.0, 1.0, 2.0])})
    SSD().finish(look)
    assert torch.equal(look.weights["w"], theta)
    assert (SSD().alpha, SSD().dampening) == (10, 1)  # the paper's


@pytest.mark.parametrize("method", [SSD(alpha=1e30), SSD(dampening=1e30)], ids=str)
def test_ssd_at_its_limits_stops_only_what_the_retained_never_use(method: SSD) -> None:
    theta = torch.tensor([0.1, -0.2, 0.3])
    look = Written({"w": theta}, {"w": torch.full((3,), 5.0)}, {"w": torch.tensor([1e-3, 2, 0])})
    method.finish(look)
    assert torch.equal(look.weights["w"], theta * torch.tensor([1.0, 1.0, 0.0]))
