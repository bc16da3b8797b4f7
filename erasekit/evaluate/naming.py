"""Zero-shot naming of pictures, and its accuracy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import Concept, PairsWorld
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features, hits


def trained_singles(world: PairsWorld, split: str = "test") -> Pairs:
    """The single-concept pictures of trained concepts in a split."""
    trained = set(world.trained)
    return world.pairs(split).singles.where(lambda concepts: concepts[0] in trained)


def forgotten_singles(task: ErasureTask, split: str) -> Pairs:
    """The single-concept pictures of forgotten concepts in a split."""
    return task.judged(split).singles.where(task.touches)


def trained_concepts(world: PairsWorld) -> list[Concept]:
    """The concepts whose names are candidates, including forgotten ones."""
    return [world.concept(i) for i in world.trained]


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
    """The mean value over each concept's pictures, by the concept's index."""
    return {int(index): float(values[labels == index].mean()) for index in np.unique(labels)}


def best_names(
    clip: Clip, world: PairsWorld, pairs: Pairs, k: int = 3
) -> list[list[tuple[str, float]]]:
    """The k names nearest to each picture, with their similarities, best first.

    The candidates are all trained concepts, including forgotten ones.
    """
    candidates = concept_features(clip, trained_concepts(world))
    similarity = clip.encode_images(pairs.images) @ candidates.T
    best = similarity.topk(min(k, len(candidates)), dim=1)
    return [
        [(world.concept(world.trained[int(i)]).name, float(v)) for i, v in zip(*row, strict=True)]
        for row in zip(best.indices, best.values, strict=True)
    ]


def naming_table(
    clip: Clip, world: PairsWorld, concepts: Sequence[int], split: str = "test"
) -> pd.DataFrame:
    """The most frequent name that a model gives to the pictures of each concept.

    Returns:
        one row per concept, indexed by its name, with columns ``pictures``, ``called most often``
        and ``share``.
    """
    wanted = set(concepts)
    pairs = trained_singles(world, split).where(lambda shown: shown[0] in wanted)
    said = [names[0][0] for names in best_names(clip, world, pairs, 1)]
    lines = []
    for index in concepts:
        answers = Counter(
            name for name, label in zip(said, pairs.labels(), strict=True) if label == index
        )
        (name, count), total = answers.most_common(1)[0], answers.total()
        lines.append((world.concept(index).name, total, name, count / total))
    columns = ["concept", "pictures", "called most often", "share"]
    return pd.DataFrame(lines, columns=columns).set_index("concept")


def top1_by_language(clip: Clip, world: PairsWorld, split: str = "test") -> pd.Series:
    """Top-1 accuracy with the candidates' names in each language."""
    pairs = trained_singles(world, split)
    images = clip.encode_images(pairs.images)
    row = {concept: i for i, concept in enumerate(world.trained)}
    labels = np.array([row[label] for label in pairs.labels()])
    concepts = trained_concepts(world)
    return pd.Series(
        {
            language: float(hits(images, concept_features(clip, concepts, language), labels).mean())
            for language in world.spec.languages
        },
        name="top1",
    )
