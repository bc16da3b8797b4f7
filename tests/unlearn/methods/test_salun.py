"""SalUn's mask holds the share of weights with the largest gradients."""

from __future__ import annotations

import torch
from support_methods import Written

from erasekit.unlearn.methods.salun import SalUn


def test_salun_lets_half_of_the_weights_move_by_default() -> None:
    gradient = {"a": torch.tensor([[1.0, -4.0]]), "b": torch.tensor([3.0, 2.0])}
    mask = SalUn().mask(Written(gradient, gradient))
    assert {k: v.tolist() for k, v in mask.items()} == {"a": [[False, True]], "b": [True, False]}
