"""Scores of a request for pictures: its own pairs, beside pictures of the same kind never seen.

Each picture is judged with its own captions: how similar the two are, and at what rank one finds
the other among all pairs. A model that never saw a picture does not score 0 in either. It treats
the picture like others of its kind, so the same scores are taken of pictures of that kind
(``holdout``) that no erasure reads, and the membership AUC says whether the two can be told apart.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import bootstrap_mean, interval
from erasekit.evaluate.membership_auc import membership_auc, pair_similarity
from erasekit.evaluate.retrieval import DEPTHS, DIRECTIONS, ranks
from erasekit.evaluate.subsets import concept_groups, distinct_scenes
from erasekit.models.clip import Clip

#: Of each picture asked for, how many others count as its kind where no concept is told.
NEAREST = 5

#: metric, subset, direction, value, low, high, n: a row of a scorecard without its model.
Measured = tuple[str, str, str, float, float, float, int]


class RequestScores:
    """The pairs that a request for pictures is judged by.

    Args:
        original: says which pictures are of the same kind where no concept tells it.
        task: of a request for pictures.
        split: whose retained pairs are held out.
        gallery: retained pairs that each picture's own are ranked among, and pictures of the
            same kind, at most.
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
            else _nearest(original, self._members, kept, gallery),
        }

    def rows(self, clip: Clip, draws: int) -> list[Measured]:
        """What one model scores."""
        found: list[Measured] = []
        others = _encoded(clip, self._others)
        for subset, pairs in self._parts.items():
            own, groups = _encoded(clip, pairs), concept_groups(pairs.concepts)
            add = partial(_measured, subset, groups, draws)
            found.append(add("similarity", "pair", (own[0] * own[1]).sum(1).double().numpy()))
            for way, direction in enumerate(DIRECTIONS):
                items = torch.cat([own[1 - way], others[1 - way]])
                rank = ranks(own[way], items, _same(pairs, self._others))
                rivals = len(items) - 1
                found.append(add("rank", direction, rank / max(1, rivals)))
                found += [add(f"recall@{k}", direction, (rank < k).astype(float)) for k in DEPTHS]
        return [*found, self._membership(clip, draws)]

    def _membership(self, clip: Clip, draws: int) -> Measured:
        scores = [pair_similarity(clip, part) for part in (self._members, self._parts["holdout"])]
        rng = np.random.default_rng(0)
        drawn = [
            membership_auc(*(s[rng.integers(0, len(s), len(s))] for s in scores))
            for _ in range(min(draws, 200))
        ]
        n = sum(map(len, scores))
        value = membership_auc(*scores)
        return "membership_auc", "forget", "pair", value, *interval(np.array(drawn)), n


def _measured(
    subset: str, groups: np.ndarray, draws: int, metric: str, direction: str, values: np.ndarray
) -> Measured:
    return metric, subset, direction, *bootstrap_mean(values, groups, draws), len(values)


def _encoded(clip: Clip, pairs: Pairs) -> tuple[Tensor, Tensor]:
    return clip.encode_images(pairs.images), clip.encode_texts(pairs.captions)


def _same(pairs: Pairs, others: Pairs) -> np.ndarray:
    """Which items are as right as the pair's own: the same picture, or the same caption."""
    captions = np.array([*pairs.captions, *others.captions], dtype=object)
    pictures = np.array([hash(frozenset(c)) for c in (*pairs.concepts, *others.concepts)])
    n = len(pairs)
    return (captions[:n, None] == captions[None]) | (pictures[:n, None] == pictures[None])


def _nearest(original: Clip, asked: Pairs, kept: Pairs, most: int) -> Pairs:
    """The retained pairs whose pictures are nearest to those asked for, by the original."""
    near = original.encode_images(asked.images) @ original.encode_images(kept.images).T
    order = near.topk(min(NEAREST, len(kept)), dim=1).indices
    return kept.take(np.unique(order.numpy())[:most])
