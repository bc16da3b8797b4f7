"""Losses that several methods share, each a plain function of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from erasekit.models.contrastive import info_nce

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.method import Features


def weighted(*terms: tuple[str, float, Callable[[], Tensor]]) -> dict[str, Tensor]:
    """Each named loss times its weight; terms of weight 0 are skipped without computing them."""
    return {name: weight * loss() for name, weight, loss in terms if weight}


def contrastive(pairs: Features) -> Tensor:
    """CLIP's symmetric contrastive loss over the pairs, a scalar."""
    return info_nce(pairs.image_unit, pairs.text_unit, pairs.scale)


def kl_divergence(original_logits: Tensor, logits: Tensor) -> Tensor:
    """Mean over rows of KL(softmax(original) ‖ softmax(current)), a scalar of at least 0.

    Args:
        original_logits, logits: shape (n, c).
    """
    before, now = original_logits.log_softmax(1), logits.log_softmax(1)
    return (before.exp() * (before - now)).sum(1).mean()


def drift(pairs: Features) -> Tensor:
    """KL(original ‖ current) of the softmaxes over the batch, in both directions, a scalar.

    This is CLIP's counterpart of a classifier's KL over class logits: each picture's distribution
    over the batch's captions, and each caption's over its pictures.
    """
    assert pairs.original_image is not None and pairs.original_text is not None
    assert pairs.original_scale is not None
    before = pairs.original_scale * pairs.original_image @ pairs.original_text.T
    now = pairs.scale * pairs.image_unit @ pairs.text_unit.T
    return kl_divergence(before, now) + kl_divergence(before.T, now.T)


def moved(pairs: Features) -> Tensor:
    """Mean squared distance of both features of a pair from the original's, a scalar."""
    assert pairs.original_image is not None and pairs.original_text is not None
    image = (pairs.image_unit - pairs.original_image).square().sum(1)
    return (image + (pairs.text_unit - pairs.original_text).square().sum(1)).mean()


def pair_nll(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """Negative log-likelihood of each pair: its term of the contrastive loss, shape (n,).

    Args:
        image, text: normalised features, shape (n, d).
        scale: the logit scale, exponentiated.
    """
    logits = scale * image @ text.T
    return (logits.logsumexp(1) + logits.logsumexp(0)) / 2 - logits.diagonal()
