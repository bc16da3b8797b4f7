"""Zero-shot classification: assign each picture to the concept with the nearest prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from erasekit.data.drawn.captions import prompts
from erasekit.data.worlds import Concept
from erasekit.models.clip import Clip


def concept_features(clip: Clip, concepts: Sequence[Concept], language: str = "en") -> Tensor:
    """One normalised text feature per concept, the mean over its prompts, shape (c, d)."""
    texts = [prompts(concept, language) for concept in concepts]
    flat = clip.encode_texts([text for group in texts for text in group])
    return F.normalize(flat.view(len(texts), len(texts[0]), -1).mean(1), dim=1)


def text_features(clip: Clip, texts: Sequence[Sequence[str]]) -> Tensor:
    """One normalised feature per group of texts, the mean over the group, shape (groups, d)."""
    flat = clip.encode_texts([text for group in texts for text in group])
    means = [part.mean(0) for part in flat.split([len(group) for group in texts])]
    return F.normalize(torch.stack(means), dim=1)


def hits(
    image_features: Tensor, candidates: Tensor, labels: Sequence[int] | np.ndarray, k: int = 1
) -> Tensor:
    """Whether each picture's own concept is among its k nearest candidates.

    Args:
        image_features: normalised, shape (n, d).
        candidates: normalised features of the candidate concepts, shape (c, d).
        labels: row of the right candidate for each picture, length n.
        k: number of nearest candidates, limited to c.

    Returns:
        float tensor of 0 and 1, shape (n,).
    """
    nearest = (image_features @ candidates.T).topk(min(k, len(candidates)), dim=1).indices
    return (nearest == torch.as_tensor(labels).view(-1, 1)).any(1).float()
