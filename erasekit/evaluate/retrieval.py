"""Retrieval: find a scene's caption by its picture, and its picture by its caption."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

DEPTHS = (1, 5, 10)
DIRECTIONS = ("image_to_text", "text_to_image")


def ranks(queries: Tensor, items: Tensor, same: np.ndarray | None = None) -> np.ndarray:
    """Rank of item i for query i, 0 when it comes first, shape (n,).

    Ties count against the query, and so does what is not a number: a collapsed or broken
    model must not look good.

    Args:
        queries, items: normalised features, shape (n, d) and (n or more, d); row i of each belong
            together.
        same: bool, shape (n, items): items that are right answers too and so no rivals.
    """
    similarity = queries @ items.T
    own = similarity.diagonal().unsqueeze(1)
    ahead = ~(similarity < own)
    if same is not None:
        return (ahead & ~torch.from_numpy(same)).sum(1).numpy()
    return (ahead.sum(1) - 1).numpy()


def recall(image: Tensor, text: Tensor) -> dict[tuple[str, int], np.ndarray]:
    """Hits (0 or 1) of each query, by direction and depth k: R@k is their mean."""
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
    """Share of each item's k nearest in its own modality that are still among its k nearest.

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
