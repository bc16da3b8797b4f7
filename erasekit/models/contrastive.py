"""CLIP's contrastive loss, which training and unlearning share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def info_nce(image: Tensor, text: Tensor, scale: Tensor | float) -> Tensor:
    """CLIP's symmetric contrastive loss over a batch, a scalar.

    L = ½ (CE(s·V·Tᵀ, i) + CE(s·T·Vᵀ, i)), pair i the only positive of row i.

    Args:
        image, text: normalised features, shape (n, d).
        scale: the logit scale, exponentiated.

    Source: Radford et al. 2021, figure 3.
    """
    logits = scale * image @ text.T
    matched = logits.diagonal()
    rows = logits.logsumexp(1) - matched
    columns = logits.logsumexp(0) - matched
    return (rows.mean() + columns.mean()) / 2
