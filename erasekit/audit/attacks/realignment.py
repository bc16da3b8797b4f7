"""Realignment: does a linear map, fitted on retained things alone, bring the names back?

An erasure that turns the forgotten features away, in the same manner for all of them, can be
turned back. The attacker has the original, or its features, and pictures of other things: they
fit a linear map from the erased model's features to the original's, and apply it to the
forgotten.

Source: linear maps between the features of two models (model stitching, Lenc and Vedaldi 2015,
arXiv 1411.5908), asked of forgetting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits
from torch import Tensor

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean
from erasekit.audit.names import ORIGINAL
from erasekit.data.drawn.captions import prompts
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import (
    forgotten_singles,
    named_right,
    trained_concepts,
    trained_singles,
)
from erasekit.models.zero_shot import concept_features

if TYPE_CHECKING:
    from sklearn.linear_model import Ridge

#: Penalty on the map's squared weights. Features have length 1.
PENALTY = 0.1


def realignment(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    pictures: int = 20,
) -> Result:
    """Name forgotten pictures after a linear map to the original's features.

    The map is ridge regression with a constant. That of the pictures is fitted on training
    pictures of single retained concepts, that of the names on the prompts of retained
    concepts in every language.

    Args:
        models, task, split, draws, seed: as in every audit test.
        pictures: maximum number of training pictures per retained concept.

    Returns:
        Metrics from 0 to 1: ``pictures``, top-1 of the model's mapped pictures among the
        original's names of all trained concepts, and ``names``, top-1 of the original's
        pictures among the model's mapped names.

    Raises:
        UsageError: for an unknown split.
    """
    world, original = task.world, models[ORIGINAL]
    retained = trained_singles(world, "train").where(lambda shown: not task.touches(shown))
    taught = retained.first_of_each(pictures).images[:]
    wordings = [
        text
        for index in task.retained
        for language in world.spec.languages
        for text in prompts(world.concept(index), language)
    ]
    asked = forgotten_singles(task, split)
    labels = asked.labels()
    candidates = trained_concepts(world)
    goal = original.encode_images(taught), original.encode_texts(wordings)
    seen, named = original.encode_images(asked.images), concept_features(original, candidates)
    result = Result([])
    for model, clip in models.items():
        turned = turn(clip.encode_images(taught), goal[0], clip.encode_images(asked.images))
        names = turn(clip.encode_texts(wordings), goal[1], concept_features(clip, candidates))
        for metric, images, texts in (("pictures", turned, named), ("names", seen, names)):
            right = named_right(images, texts, labels, world.trained)
            estimate = estimate_mean(right, labels, draws, seed)
            result.measures.append(Measure(model, metric, "", estimate, 1 / len(candidates)))
    return result


def turn(known: Tensor, goal: Tensor, new: Tensor) -> Tensor:
    """Fit a linear map from `known` to `goal`, and return `new` mapped by it, normalised.

    Args:
        known: features of one model, shape (n, d).
        goal: features of the same things by another model, shape (n, e).
        new: further features of the first model, shape (m, d).
    """
    with threadpool_limits(1, user_api="blas"):
        mapped = _ridge().fit(known.numpy(), goal.numpy()).predict(new.numpy())
    return F.normalize(torch.from_numpy(np.asarray(mapped)).to(goal.dtype), dim=1)


def _ridge() -> Ridge:
    # Importing scikit-learn takes a second, and most runs never map.
    from sklearn.linear_model import Ridge

    return Ridge(PENALTY)


TEST = AuditTest(
    name="realignment",
    title="Realignment",
    question="Does a linear map, fitted on retained things, bring the forgotten names back?",
    source="linear maps between models (arXiv 1411.5908), asked of forgetting",
    run=realignment,
    metrics=(
        Metric("pictures", "named after mapping the pictures", "remembered"),
        Metric("names", "named after mapping the names", "remembered", acquits=False),
    ),
    smoke={"pictures": 12},
)
