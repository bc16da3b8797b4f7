"""How fast does a language model relearn a forgotten thing?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from erasekit.audit.answer_attacks import Answered, answer_test, first_of_each, named, only_name
from erasekit.audit.base import Metric
from erasekit.audit.relearn import relearn
from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.evaluate.answer_scores import score_answers
from erasekit.models.mllm import Mllm

#: Pictures per forgotten concept, steps at which accuracy is measured, and Adam's learning rate,
#: chosen on validation data with the oracle only.
PICTURES, CHECKPOINTS, LEARNING_RATE = 4, (2, 4, 8, 16), 2e-4


def relearning(mllm: Mllm, task: MllmTask, split: str, seed: int) -> Iterator[Answered]:
    """Measure how fast a forgotten concept returns from a few pictures.

    A copy is trained on the questions about some pictures of each forgotten concept, and on as
    many retained questions. The condition ``area`` is the mean over step 0 and the
    checkpoints, ``after`` is the last checkpoint.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(task.forget))
    lesson = first_of_each(only_name(task.forget.take(order)), PICTURES)
    retained = task.retain.take(rng.permutation(len(task.retain))[: 8 * len(lesson)])
    learner = mllm.copy()
    learner.model.eval().requires_grad_(True)
    asked = named(task, split)

    def ask() -> np.ndarray:
        return score_answers(learner, asked)["accuracy"]

    def loss(step: int) -> dict[str, Tensor]:
        rows = np.arange(step * len(lesson), (step + 1) * len(lesson)) % len(retained)
        batch = Questions(lesson.items + retained.take(rows).items, lesson.images)
        likelihood, tokens = learner.log_likelihood(learner.encode(batch))
        return {"cross_entropy": -likelihood.sum() / tokens.sum()}

    optimizer = torch.optim.Adam(learner.model.parameters(), lr=LEARNING_RATE)
    curve = [ask(), *relearn(learner.model, optimizer, loss, ask, CHECKPOINTS)]
    yield Answered("area", asked.subjects, np.mean(curve, axis=0))
    yield Answered("after", asked.subjects, curve[-1])


TEST = answer_test(
    relearning,
    "answer_relearning",
    "Relearning",
    "How fast does the forgotten thing come back from a few pictures?",
    "relearning attacks: arXiv 2406.13356",
    Metric("area", "mean accuracy while relearning", "remembered"),
    Metric("after", "accuracy after relearning", "remembered", acquits=False),
)
