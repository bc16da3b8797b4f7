"""CLIP's contrastive loss, for training and unlearning."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def info_nce(
    image: Tensor, text: Tensor, scale: Tensor | float, alike: Tensor | None = None
) -> Tensor:
    """CLIP's symmetric contrastive loss over a batch, a scalar.

    L = ½ (CE(s·V·Tᵀ, i) + CE(s·T·Vᵀ, i)), with pair i as the only positive of row i. With `alike`,
    a row has several positives, and its cross-entropy is the mean over them.

    Args:
        image, text: normalised features, shape (n, d).
        scale: the logit scale, exponentiated.
        alike: bool, shape (n, n), symmetric, with a true diagonal: which pairs are positives of
            each other.

    Source: Radford et al. 2021, figure 3; several positives as in Yang et al. 2022 (UniCL).
    """
    logits = scale * image @ text.T
    if alike is None:
        texts = pictures = logits.diagonal()
    else:
        texts, pictures = ((logits * alike).sum(axis) / alike.sum(axis) for axis in (1, 0))
    rows = logits.logsumexp(1) - texts
    columns = logits.logsumexp(0) - pictures
    return (rows.mean() + columns.mean()) / 2
