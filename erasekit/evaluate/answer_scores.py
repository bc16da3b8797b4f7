"""Scores of a multimodal language model's answers to visual and text-only questions.

Exact match and ROUGE-L score generated answers; multiple choice scores the likelihood of given
answers. A model trained to refuse may still score high in multiple choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from erasekit.data.question_list import Questions, same_words
from erasekit.data.question_task import MllmTask
from erasekit.errors import UsageError, unknown
from erasekit.evaluate.bootstrap import DRAWS, bootstrap_mean
from erasekit.evaluate.scorecard import Measure, Row, Scorecard
from erasekit.models.mllm import Mllm

METRICS = ("accuracy", "rouge_l", "choice")
#: Names of visual and text-only questions in the direction column.
DIRECTIONS = {"visual": "seen", "text": "told"}


def exact_match(said: str, answer: str) -> float:
    """1 if the words are the same, ignoring case and a final full stop; else 0."""
    return float(same_words(said, answer))


def rouge_l(said: str, answer: str) -> float:
    """F-measure of the longest common subsequence of words (Lin, 2004), from `rouge-score`.

    Raises:
        UsageError: when the library is not installed.
    """
    return _rouge().score(answer, said)["rougeL"].fmeasure


@cache
def _rouge() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise UsageError("ROUGE-L needs rouge-score: pip install 'erasekit[mllm]'") from error
    return RougeScorer(["rougeL"])


@torch.no_grad()
def choose(mllm: Mllm, questions: Questions, *, batch: int = 128) -> list[str]:
    """The likeliest of each question's choices, by the mean log-probability of its tokens.

    Ties go to the first wrong choice, so that they never count as right.

    Raises:
        UsageError: for a question without choices.
    """
    rows = [i for i, q in enumerate(questions) for _ in q.choices]
    flat = [choice for q in questions for choice in q.choices]
    scores: list[float] = []
    for start in range(0, len(rows), batch):
        some = slice(start, start + batch)
        encoded = mllm.encode(questions.take(rows[some]), flat[some])
        likelihood, tokens = mllm.log_likelihood(encoded)
        scores += (likelihood / tokens).tolist()
    found, place = [], 0
    for question in questions:
        if not question.choices:
            raise UsageError(f"'{question.text}' has no choices")
        end = place + len(question.choices)
        each = dict(zip(question.choices, scores[place:end], strict=True))
        found.append(max(each, key=lambda choice: (each[choice], choice != question.answer)))
        place = end
    return found


def evaluate_answers(
    task: MllmTask,
    models: Mapping[str, Mllm],
    *,
    cost: dict | None = None,
    split: str = "test",
    metrics: Sequence[str] = METRICS[:1],
    draws: int = DRAWS,
    most: int = 0,
) -> Scorecard:
    """Score the answers of every model, with intervals over concepts.

    For each mode and subset, there are rows over all questions (``accuracy``) and over each kind
    (such as ``accuracy:name``, for which a model must recognise the concept).

    Args:
        task: gives the questions.
        models: models by name.
        cost: seconds and steps of each model, stored unchanged.
        split: train, validation or test.
        metrics: names from `METRICS`.
        draws: number of bootstrap draws.
        most: maximum number of questions per mode and subset, evenly spread; 0 for all.

    Raises:
        UsageError: for an unknown metric.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
    rows = []
    for (mode, subset), asked in task.subsets(split).items():
        questions = spread(asked, most)
        for name, model in models.items():
            for metric, scores in score_answers(model, questions, metrics).items():
                for which, chosen in _by_kind(metric, questions).items():
                    measure = (which, subset, DIRECTIONS[mode])
                    about = questions.subjects[chosen]
                    rows.append(mean_row(name, measure, scores[chosen], about, draws))
    return Scorecard({**task.describe(), "split": split}, dict(cost or {}), rows)


def score_answers(
    mllm: Mllm, questions: Questions, metrics: Sequence[str] = METRICS[:1]
) -> dict[str, np.ndarray]:
    """The score of each question from 0 to 1, shape (n,), by metric."""
    found: dict[str, np.ndarray] = {}
    if set(metrics) - {"choice"}:
        said = mllm.answer(questions)
        pairs = [(s, q.answer) for s, q in zip(said, questions, strict=True)]
        for name, score in (("accuracy", exact_match), ("rouge_l", rouge_l)):
            if name in metrics:
                found[name] = np.array([score(*pair) for pair in pairs])
    if "choice" in metrics:
        chosen = choose(mllm, questions)
        right = [float(c == q.answer) for c, q in zip(chosen, questions, strict=True)]
        found["choice"] = np.array(right)
    return found


def _by_kind(metric: str, questions: Questions) -> dict[str, np.ndarray]:
    """The questions of each metric as bool arrays: those of each kind, then all."""
    kinds = np.array([question.kind for question in questions])
    return {
        **{f"{metric}:{kind}": kinds == kind for kind in dict.fromkeys(kinds)},
        metric: np.ones(len(kinds), bool),
    }


def mean_row(
    model: str, measure: Measure, scores: np.ndarray, about: np.ndarray, draws: int
) -> Row:
    """The mean of one model's scores as a row.

    Args:
        measure: metric, subset and direction.
        about: the subject of each answer: the bootstrap groups.
    """
    metric, subset, direction = measure
    mean = bootstrap_mean(scores, about, draws)
    return Row(model, metric, subset, direction, *mean, len(scores))


def spread(questions: Questions, most: int) -> Questions:
    """At most `most` of the questions, evenly spread over the list; 0 for all."""
    if not most or len(questions) <= most:
        return questions
    return questions.take(np.linspace(0, len(questions) - 1, most).round().astype(int))
