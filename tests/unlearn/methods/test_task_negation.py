"""Task negation goes as far the other way as training went."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_methods import Written

from erasekit.unlearn.methods.task_negation import TaskNegation


@settings(max_examples=30, deadline=None)
@given(before=st.floats(-3, 3), tuned=st.floats(-3, 3), scale=st.floats(0, 2))
def test_task_negation_goes_as_far_the_other_way(before, tuned, scale) -> None:
    look = Written({"w": torch.tensor([before], dtype=torch.float64)})
    look.weights["w"].fill_(tuned)
    TaskNegation(scale=scale).finish(look)
    assert float(look.weights["w"]) == pytest.approx(before - scale * (tuned - before), abs=1e-12)
    TaskNegation(scale=0).finish(look)
    assert torch.equal(look.weights["w"], look.original["w"])
