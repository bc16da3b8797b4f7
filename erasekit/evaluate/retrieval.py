"""Retrieval of captions by pictures and of pictures by captions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

DEPTHS = (1, 5, 10)
DIRECTIONS = ("image_to_text", "text_to_image")


def ranks(queries: Tensor, items: Tensor, same: np.ndarray | None = None) -> np.ndarray:
    """Rank of item i for query i, from 0, shape (n,).

    Ties and NaN count against the query, so that a collapsed or broken model does not score well.

    Args:
        queries, items: normalised features, shape (n, d) and (n or more, d); item i belongs to
            query i.
        same: bool, shape (n, items): items that are right answers too and do not count as rivals.
    """
    similarity = queries @ items.T
    own = similarity.diagonal().unsqueeze(1)
    ahead = ~(similarity < own)
    if same is not None:
        return (ahead & ~torch.from_numpy(same)).sum(1).numpy()
    return (ahead.sum(1) - 1).numpy()


def recall(image: Tensor, text: Tensor) -> dict[tuple[str, int], np.ndarray]:
    """Hits (0 or 1) of each query, by direction and depth k; their mean is R@k."""
    found = {}
    for direction, queries, items in (
        ("image_to_text", image, text),
        ("text_to_image", text, image),
    ):
        rank = ranks(queries, items)
        for k in DEPTHS:
            found[direction, k] = (rank < k).astype(float)
    return found


def neighbourhood_kept(before: Tensor, after: Tensor, k: int = 10) -> np.ndarray:
    """Share of each item's k nearest neighbours in its modality that remain among its k nearest.

    Args:
        before, after: normalised features of the same items by two models, (n, d).

    Returns:
        shape (n,), from 0 to 1.
    """
    k = min(k, len(before) - 1)

    def nearest(features: Tensor) -> Tensor:
        similarity = features @ features.T
        return similarity.fill_diagonal_(-torch.inf).topk(k, dim=1).indices

    old, new = nearest(before), nearest(after)
    kept = (old.unsqueeze(2) == new.unsqueeze(1)).any(2).float().mean(1)
    return kept.numpy()
