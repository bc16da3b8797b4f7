"""Scores of a request to forget single pictures, with unseen pictures of the same kind.

The scores of a picture are the similarity to its caption, and the rank of one for the other among
all pairs. A model that never saw a picture does not score 0 in either; it treats the picture like
others of its kind. We therefore take the same scores for pictures of that kind that no erasure
reads (``holdout``). The membership AUC tells whether the two sets can be distinguished.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import bootstrap_mean
from erasekit.evaluate.membership_auc import membership_interval, pair_similarity
from erasekit.evaluate.retrieval import DEPTHS, DIRECTIONS, ranks
from erasekit.evaluate.subsets import concept_groups, distinct_scenes
from erasekit.models.clip import Clip

#: Number of nearest pictures that count as the kind of a requested picture without a concept.
NEAREST = 5

#: A scorecard row without the model: metric, subset, direction, value, low, high, n.
Measured = tuple[str, str, str, float, float, float, int]


class RequestScores:
    """The pairs that evaluate a request for pictures.

    Args:
        original: determines the pictures of the same kind, if there are no concepts.
        task: task of a request for pictures.
        split: split of the held-out retained pairs.
        gallery: maximum number of retained pairs to rank among, and of pictures of the same kind.
    """

    def __init__(self, original: Clip, task: ErasureTask, split: str, gallery: int) -> None:
        judged = task.judged(split)
        kept = judged.where(lambda shown: not task.touches(shown))
        self._others = distinct_scenes(kept.scenes, gallery)
        self._members, kin = task.members(split)
        self._parts = {
            "forget": judged.where(task.touches),
            "holdout": kin.take(range(min(len(kin), gallery)))
            if len(kin)
            else nearest_of_kind(original, self._members, kept, gallery),
        }

    def rows(self, clip: Clip, draws: int) -> list[Measured]:
        """The scores of one model."""
        found: list[Measured] = []
        others = encoded(clip, self._others)
        for subset, pairs in self._parts.items():
            own, groups = encoded(clip, pairs), concept_groups(pairs.concepts)
            add = partial(_measured, subset, groups, draws)
            found.append(add("similarity", "pair", (own[0] * own[1]).sum(1).double().numpy()))
            for way, direction in enumerate(DIRECTIONS):
                items = torch.cat([own[1 - way], others[1 - way]])
                rank = ranks(own[way], items, same_pairs(pairs, self._others))
                rivals = len(items) - 1
                found.append(add("rank", direction, rank / max(1, rivals)))
                found += [add(f"recall@{k}", direction, (rank < k).astype(float)) for k in DEPTHS]
        return [*found, self._membership(clip, draws)]

    def _membership(self, clip: Clip, draws: int) -> Measured:
        members = pair_similarity(clip, self._members)
        others = pair_similarity(clip, self._parts["holdout"])
        value, low, high = membership_interval(members, others, draws)
        return "membership_auc", "forget", "pair", value, low, high, len(members) + len(others)


def _measured(
    subset: str, groups: np.ndarray, draws: int, metric: str, direction: str, values: np.ndarray
) -> Measured:
    return metric, subset, direction, *bootstrap_mean(values, groups, draws), len(values)


def encoded(clip: Clip, pairs: Pairs) -> tuple[Tensor, Tensor]:
    return clip.encode_images(pairs.images), clip.encode_texts(pairs.captions)


def same_pairs(pairs: Pairs, others: Pairs) -> np.ndarray:
    """Which items are right answers for a pair: those with the same picture or caption."""
    captions = np.array([*pairs.captions, *others.captions], dtype=object)
    pictures = np.array([hash(frozenset(c)) for c in (*pairs.concepts, *others.concepts)])
    n = len(pairs)
    return (captions[:n, None] == captions[None]) | (pictures[:n, None] == pictures[None])


def nearest_of_kind(original: Clip, asked: Pairs, kept: Pairs, most: int) -> Pairs:
    """The retained pairs whose pictures are nearest to the requested ones, by the original."""
    near = original.encode_images(asked.images) @ original.encode_images(kept.images).T
    order = near.topk(min(NEAREST, len(kept)), dim=1).indices
    return kept.take(np.unique(order.numpy())[:most])
