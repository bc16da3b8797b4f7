"""One picture: do pictures of a forgotten concept still know each other?

Cheap erasures move the forgotten pictures away from their names and leave them in a heap of
their own for each concept. Someone with one labelled picture of each concept then recognises
all others by the nearest one, without training anything. A model that never saw the concepts
has looser heaps.

Source: nearest-centroid classification from one example, as prototypical networks use it
(Snell et al. 2017, arXiv 1703.05175), asked of an erased model and of the oracles; and
retrieval of pictures by pictures.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import trained_singles


def one_picture(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    repeats: int = 10,
) -> Result:
    """Recognise forgotten test pictures by one labelled training picture of each concept.

    Args:
        models, task, split, draws, seed: as in every audit test.
        repeats: how often this is done, with another labelled picture each time; results
            are means. Limited by the number of training pictures of a concept.

    Returns:
        Metrics from 0 to 1: ``told_apart``, the share of pictures whose nearest labelled
        picture, among those of the forgotten concepts, is of the same concept;
        ``recognised``, the same among all trained concepts; and ``found``, the share of
        pictures whose nearest other test picture of any trained concept shows the same
        concept. With a single forgotten concept there is nothing to tell apart, and a note
        says so.

    Raises:
        UsageError: for an unknown split.
    """
    labelled = trained_singles(task.world, "train")
    known = labelled.labels()
    asked = trained_singles(task.world, split)
    labels = asked.labels()
    forgotten = np.isin(labels, task.forgotten)
    shown = [np.flatnonzero(known == index) for index in task.world.trained]
    repeats = min(repeats, *map(len, shown))
    among = np.isin(task.world.trained, task.forgotten)
    result = Result([])
    if among.sum() == 1:
        result.notes.append("One concept was forgotten: there is nothing to tell it apart from.")
    examples = labelled.take([int(own[turn]) for turn in range(repeats) for own in shown])
    concepts = np.array(task.world.trained)
    for model, clip in models.items():
        of_test = clip.encode_images(asked.images)
        own = of_test[torch.from_numpy(forgotten)]
        turns = clip.encode_images(examples.images).view(repeats, len(concepts), -1)
        right = {
            "recognised": nearest_is_own(own, turns, concepts, labels[forgotten]),
            "found": _neighbour_is_own(of_test, labels)[forgotten],
        }
        chance = {"recognised": 1 / len(concepts), "found": 1 / len(concepts)}
        if among.sum() > 1:
            few = turns[:, torch.from_numpy(among)]
            right["told_apart"] = nearest_is_own(own, few, concepts[among], labels[forgotten])
            chance["told_apart"] = 1 / int(among.sum())
        for metric, hit in right.items():
            estimate = estimate_mean(hit, labels[forgotten], draws, seed)
            result.measures.append(Measure(model, metric, "", estimate, chance[metric]))
    return result


def nearest_is_own(
    features: Tensor, examples: Tensor, concepts: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Return how often the example nearest to a picture is of its concept, shape (n,).

    Args:
        features: normalised features of the pictures, shape (n, d).
        examples: normalised features of one example per concept, shape (repeats, c, d).
        concepts: the concept of each example, shape (c,).
        labels: the concept of each picture, shape (n,).
    """
    nearest = torch.einsum("nd,rcd->rnc", features, examples).argmax(2).numpy()
    return (concepts[nearest] == labels).mean(0)


def _neighbour_is_own(features: Tensor, labels: np.ndarray) -> np.ndarray:
    """Whether each picture's nearest other picture has its label: 0 or 1, shape (n,)."""
    similarity = (features @ features.T).fill_diagonal_(-2)
    return (labels[similarity.argmax(1).numpy()] == labels).astype(float)


TEST = AuditTest(
    name="one_picture",
    title="One picture",
    question="Does one labelled picture suffice to recognise the forgotten concept in others?",
    source="nearest example, as in prototypical networks (arXiv 1703.05175), asked of forgetting",
    run=one_picture,
    metrics=(
        Metric("told_apart", "forgotten concepts told apart", "remembered"),
        Metric("recognised", "recognised among all concepts", "remembered", acquits=False),
        Metric("found", "found by another picture", "remembered", acquits=False),
    ),
)
