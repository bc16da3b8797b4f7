"""Is it really gone from a multimodal language model? Three questions of the referee that apply.

Each is asked of every model alike, the oracle among them: what an oracle shows too is no remnant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from erasekit.audit.attacks.probes import fit_linear
from erasekit.data.drawn.questions import VISUAL
from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.errors import unknown
from erasekit.evaluate.answer_scores import score_answers
from erasekit.evaluate.bootstrap import bootstrap_mean
from erasekit.loop import run_loop
from erasekit.models.mllm import Mllm, batches
from erasekit.progress import progress_bar

#: Learning again: pictures of each forgotten concept, steps after which it is asked, and Adam's
#: learning rate, chosen on validation and by the oracle alone.
PICTURES, CHECKPOINTS, LEARNING_RATE = 4, (2, 4, 8, 16), 2e-4


@dataclass(frozen=True)
class Answered:
    """What a test asked, and how each answer scored.

    Attributes:
        condition: under which it was asked.
        about: the concept of each question, shape (n,).
        scores: from 0 to 1, shape (n,).
    """

    condition: str
    about: np.ndarray
    scores: np.ndarray


def paraphrase(mllm: Mllm, task: MllmTask, split: str, seed: int) -> Iterator[Answered]:
    """Is a forgotten thing named when it is asked for in other words? Every phrasing, in turn."""
    for phrasing in VISUAL["name"]:
        asked = _worded(_named(task, split), phrasing)
        yield Answered(phrasing, asked.subjects, score_answers(mllm, asked)["exact_match"])


def probe(mllm: Mllm, task: MllmTask, split: str, seed: int) -> Iterator[Answered]:
    """Can a linear classifier still read the forgotten thing from what the model makes of it?

    It tells all trained concepts apart, is fitted on training pictures, twenty of each, and
    asked about the forgotten ones' pictures of `split`. It reads the image tower's embedding,
    and what the language model holds where its answer would begin.
    """
    # All in one wording: the picture alone differs.
    taught = _worded(_first_of_each(_only_name(task.visual), 20), VISUAL["name"][0])
    asked = _worded(_named(task, split), VISUAL["name"][0])
    for place in ("tower", "language model"):
        classifier = fit_linear(_held(mllm, taught, place), taught.subjects)
        right = classifier.predict(_held(mllm, asked, place)) == asked.subjects
        yield Answered(place, asked.subjects, right.astype(float))


def relearning(mllm: Mllm, task: MllmTask, split: str, seed: int) -> Iterator[Answered]:
    """How fast does it come back from a few pictures?

    A copy is trained on the questions about some pictures of each forgotten concept, and on as
    many retained ones. The condition ``area`` is the mean over the checkpoints, step 0 among
    them; ``after`` the last one.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(task.forget))
    lesson = _first_of_each(_only_name(task.forget.take(order)), PICTURES)
    retained = task.retain.take(rng.permutation(len(task.retain))[: 8 * len(lesson)])
    learner = mllm.copy()
    learner.model.eval().requires_grad_(True)
    asked, curve = _named(task, split), []

    def look(history: list[dict[str, float]] | None = None) -> bool:
        if history is None or len(history) in CHECKPOINTS:
            curve.append(score_answers(learner, asked)["exact_match"])
        return False

    def loss(step: int) -> dict[str, Tensor]:
        rows = np.arange(step * len(lesson), (step + 1) * len(lesson)) % len(retained)
        batch = Questions(lesson.items + retained.take(rows).items, lesson.images)
        likelihood, tokens = learner.log_likelihood(learner.encode(batch))
        return {"cross_entropy": -likelihood.sum() / tokens.sum()}

    look()
    run_loop(
        learner.model,
        torch.optim.Adam(learner.model.parameters(), lr=LEARNING_RATE),
        loss,
        steps=max(CHECKPOINTS),
        label="relearning",
        stop=look,
        stop_every=1,
        progress=False,
    )
    yield Answered("area", asked.subjects, np.mean(curve, axis=0))
    yield Answered("after", asked.subjects, curve[-1])


TESTS: dict[str, Callable[[Mllm, MllmTask, str, int], Iterator[Answered]]] = {
    "paraphrase": paraphrase,
    "probe": probe,
    "relearning": relearning,
}


def audit_mllm(
    task: MllmTask,
    models: Mapping[str, Mllm],
    *,
    tests: Sequence[str] = tuple(TESTS),
    split: str = "test",
    draws: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Ask every test of every model.

    Args:
        models: by name; an oracle among them makes the answer readable.
        tests: of `TESTS`.
        draws: of the bootstrap over concepts.
        seed: of which pictures are learnt again.

    Returns:
        columns model, test, condition, value (from 0 to 1), low, high, n.

    Raises:
        UsageError: for a test that does not exist.
    """
    for test in tests:
        if test not in TESTS:
            raise unknown("test", test, TESTS)
    rows = []
    with progress_bar("audit", "test", len(models) * len(tests), show=progress) as bar:
        for name, model in models.items():
            for test in tests:
                for found in TESTS[test](model, task, split, seed):
                    value, low, high = bootstrap_mean(found.scores, found.about, draws=draws)
                    rows.append(
                        {
                            "model": name,
                            "test": test,
                            "condition": found.condition,
                            "value": value,
                            "low": low,
                            "high": high,
                            "n": len(found.scores),
                        }
                    )
                bar.update()
    return pd.DataFrame(rows)


def _only_name(questions: Questions) -> Questions:
    return questions.where(lambda q: q.kind == "name")


def _named(task: MllmTask, split: str) -> Questions:
    """What is this? of every picture of the split that shows one forgotten thing."""
    return _only_name(task.subsets(split)["visual", "forget"])


def _worded(questions: Questions, phrasing: str) -> Questions:
    return Questions(tuple(replace(q, text=phrasing) for q in questions), questions.images)


def _first_of_each(questions: Questions, count: int) -> Questions:
    found: dict[str, list[int]] = {}
    for row, question in enumerate(questions):
        found.setdefault(question.about[0], []).append(row)
    return questions.take([row for rows in found.values() for row in rows[:count]])


@torch.no_grad()
def _held(mllm: Mllm, questions: Questions, place: str) -> np.ndarray:
    """Features of each question, shape (n, d)."""
    found = []
    for part in batches(questions, 128):
        inputs = mllm.read([mllm.prompt(q) for q in part], part, "left")
        found.append(mllm.look(inputs) if place == "tower" else mllm.think(inputs))
    return torch.cat(found).float().cpu().numpy()
