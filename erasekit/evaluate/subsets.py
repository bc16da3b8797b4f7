"""The concepts and pictures of each subset of a scorecard."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features

SUBSETS = ("forget", "neighbours", "retain", "holdout")
NEIGHBOURS = 5


def neighbours(original: Clip, task: ErasureTask, k: int = NEIGHBOURS) -> tuple[int, ...]:
    """The k retained concepts nearest to the forgotten ones by the original's text features.

    Nearness is the maximum similarity to any forgotten concept's name. Neighbours are the most
    exposed to collateral damage. At most half of the retained concepts are neighbours.
    """
    forgotten = concept_features(original, task.forgotten_concepts)
    retained = concept_features(original, [task.world.concept(i) for i in task.retained])
    nearness = (retained @ forgotten.T).max(1).values
    k = max(1, min(k, len(task.retained) // 2))
    return tuple(sorted(task.retained[int(i)] for i in nearness.topk(k).indices))


@dataclass(frozen=True)
class Subsets:
    """The concepts of each subset, and the single-concept pairs of one split."""

    concepts: dict[str, tuple[int, ...]]
    singles: Pairs
    split: str

    def rows(self, subset: str) -> np.ndarray:
        """Rows of `singles` with a concept of the subset."""
        return np.flatnonzero(np.isin(self.singles.labels(), self.concepts[subset]))


def make_subsets(original: Clip, task: ErasureTask, split: str = "test") -> Subsets:
    """The subsets of a task that have pictures in a split; empty for data without names."""
    singles = task.judged(split).singles
    concepts = {}
    if task.named:
        concepts = {
            "forget": tuple(i for i in task.forgotten if i < len(task.world.concepts)),
            "neighbours": neighbours(original, task),
            "retain": task.retained,
            "holdout": task.world.holdout,
        }
    shown = set(singles.labels().tolist())
    concepts = {name: of for name, of in concepts.items() if not shown.isdisjoint(of)}
    return Subsets(concepts, singles, split)


def distinct_scenes(scenes: Pairs, most: int) -> Pairs:
    """The first `most` scenes with distinct answers, so that each has one right answer."""
    seen: dict[Hashable, int] = {}
    for row, answer in enumerate(scenes.answers()):
        seen.setdefault(answer, row)
    return scenes.take(sorted(seen.values())[:most])


def concept_groups(concepts: Sequence[tuple[int, ...]]) -> np.ndarray:
    """The bootstrap group of each pair: its first concept."""
    return np.array([c[0] for c in concepts], dtype=np.int64)
