"""Losses that several methods share, each a plain function of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def kl_divergence(original_logits: Tensor, logits: Tensor) -> Tensor:
    """Mean over rows of KL(softmax(original) ‖ softmax(current)), a scalar of at least 0.

    Args:
        original_logits, logits: shape (n, c).
    """
    before, now = original_logits.log_softmax(1), logits.log_softmax(1)
    return (before.exp() * (before - now)).sum(1).mean()
