"""Can the forgotten thing still be read from the features inside a language model?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from erasekit.audit.answer_attacks import (
    Answered,
    answer_test,
    first_of_each,
    named,
    only_name,
    worded,
)
from erasekit.audit.base import Metric
from erasekit.audit.classifiers import fit_linear
from erasekit.data.drawn.questions import VISUAL
from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.models.mllm import Mllm, batches


def probes(mllm: Mllm, task: MllmTask, split: str, seed: int) -> Iterator[Answered]:
    """Test whether a linear classifier can still read the forgotten thing from the features.

    The classifier separates all trained concepts. It is fitted on 20 training pictures per
    concept and evaluated on the forgotten concepts' pictures of `split`. Its input is the
    image tower's embedding, or the language model's hidden state where the answer begins.
    """
    # One wording for all questions, so that only the picture differs.
    taught = worded(first_of_each(only_name(task.visual), 20), VISUAL["name"][0])
    asked = worded(named(task, split), VISUAL["name"][0])
    for place in ("tower", "language model"):
        classifier = fit_linear(_held(mllm, taught, place), taught.subjects)
        right = classifier.predict(_held(mllm, asked, place)) == asked.subjects
        yield Answered(place, asked.subjects, right.astype(float))


@torch.no_grad()
def _held(mllm: Mllm, questions: Questions, place: str) -> np.ndarray:
    """Return the features of each question, shape (n, d)."""
    found = []
    for part in batches(questions, 128):
        inputs = mllm.read([mllm.prompt(q) for q in part], part, "left")
        found.append(mllm.look(inputs) if place == "tower" else mllm.think(inputs))
    return torch.cat(found).float().cpu().numpy()


TEST = answer_test(
    probes,
    "answer_probes",
    "Probes",
    "Can the forgotten thing still be read from the features inside the model?",
    "Alain and Bengio 2016 (arXiv 1610.01644)",
    Metric("tower", "read from the image tower", "remembered"),
    Metric("language model", "read from the language model", "remembered"),
)
