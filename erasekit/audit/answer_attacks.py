"""Shared parts of the attacks on multimodal language models: the test and its questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from erasekit.audit.base import AuditTest, Measure, Metric, Result, estimate_mean
from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.models.mllm import Mllm


@dataclass(frozen=True)
class Answered:
    """Scores of one model's answers under one condition.

    Attributes:
        condition: name of the condition.
        about: concept of each question, shape (n,).
        scores: score of each answer, 0 to 1, shape (n,).
    """

    condition: str
    about: np.ndarray
    scores: np.ndarray


Ask = Callable[[Mllm, MllmTask, str, int], Iterator[Answered]]


def answer_test(
    ask: Ask, name: str, title: str, question: str, source: str, *metrics: Metric
) -> AuditTest:
    """Build an audit test from `ask`; with several metrics, each condition is one metric."""
    names = {metric.name for metric in metrics}

    def run(
        models: Mapping[str, Mllm],
        task: MllmTask,
        *,
        split: str = "test",
        draws: int = DRAWS,
        seed: int = 0,
    ) -> Result:
        result = Result([])
        for model, mllm in models.items():
            for found in ask(mllm, task, split, seed):
                metric, condition = metrics[0].name, found.condition
                if condition in names:
                    metric, condition = condition, ""
                estimate = estimate_mean(found.scores, found.about, draws)
                result.measures.append(Measure(model, metric, condition, estimate))
        return result

    return AuditTest(name, title, question, source, run, metrics, kind="language")


def only_name(questions: Questions) -> Questions:
    """Keep the questions that ask what a picture shows."""
    return questions.where(lambda q: q.kind == "name")


def named(task: MllmTask, split: str) -> Questions:
    """Ask "What is this?" about every picture of the split that shows one forgotten thing."""
    return only_name(task.subsets(split)["visual", "forget"])


def worded(questions: Questions, phrasing: str) -> Questions:
    """Reword all questions with one phrasing."""
    return Questions(tuple(replace(q, text=phrasing) for q in questions), questions.images)


def first_of_each(questions: Questions, count: int) -> Questions:
    """Keep at most `count` questions about each thing."""
    found: dict[str, list[int]] = {}
    for row, question in enumerate(questions):
        found.setdefault(question.about[0], []).append(row)
    return questions.take([row for rows in found.values() for row in rows[:count]])
