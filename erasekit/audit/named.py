"""What the tests that name pictures share: whose pictures, and whether a name is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import Concept, PairsWorld
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import hits


def trained_concepts(world: PairsWorld) -> list[Concept]:
    """The concepts whose names are the candidates, forgotten ones included."""
    return [world.concept(i) for i in world.trained]


def forgotten_singles(task: ErasureTask, split: str) -> Pairs:
    """The pictures of a split that show one forgotten concept alone."""
    return task.world.pairs(split).singles.where(task.touches)


def text_features(clip: Clip, texts: Sequence[Sequence[str]]) -> Tensor:
    """One normalised feature a group of texts, the mean over the group, shape (groups, d)."""
    flat = clip.encode_texts([text for group in texts for text in group])
    means = [part.mean(0) for part in flat.split([len(group) for group in texts])]
    return F.normalize(torch.stack(means), dim=1)


def named_right(
    images: Tensor, names: Tensor, labels: np.ndarray, candidates: Sequence[int]
) -> np.ndarray:
    """Whether each picture's nearest name is its own concept's: 0 or 1, shape (n,).

    Args:
        images: normalised features, shape (n, d).
        names: normalised features of the candidates' names, shape (c, d).
        labels: the concept of each picture; it must be a candidate.
        candidates: the concept of each name.
    """
    row = {concept: i for i, concept in enumerate(candidates)}
    return hits(images, names, [row[int(label)] for label in labels]).double().numpy()


def by_concept(values: np.ndarray, labels: np.ndarray) -> dict[int, float]:
    """The mean of a number a picture for each concept, by the concept's index."""
    return {int(index): float(values[labels == index].mean()) for index in np.unique(labels)}
