"""What a multimodal language model still sees, and still knows: answers scored by kind.

Recognition is measured by what is said (exact match, ROUGE-L) and by which of some answers is
held likeliest (multiple choice): a model that was taught to say nothing may still know.
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
#: What a row calls questions with a picture, and those in words alone.
DIRECTIONS = {"visual": "seen", "text": "told"}


def exact_match(said: str, answer: str) -> float:
    """1 if the same words were said, whatever their case and the full stop behind them."""
    return float(same_words(said, answer))


def rouge_l(said: str, answer: str) -> float:
    """F-measure of the longest common subsequence of words (Lin, 2004), by `rouge-score`.

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

    Of choices that are equally likely, the first that is wrong: guessing is not knowing.

    Raises:
        UsageError: for a question that offers none.
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
            raise UsageError(f"'{question.text}' offers nothing to choose from")
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
    """Measure the answers of every model, with intervals over concepts.

    A row is over all questions of its place, or over those of one kind, such as ``accuracy`` and
    ``accuracy:name``: nobody gives a name who does not recognise the thing.

    Args:
        models: by name.
        cost: seconds and steps of each model that was made, stored as it is.
        metrics: of `METRICS`.
        draws: of the bootstrap.
        most: questions of each place at most, evenly spread; 0 for all.

    Raises:
        UsageError: for a metric that does not exist.
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
    """By metric, a score from 0 to 1 of each question, shape (n,)."""
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
    """Which questions each metric is over: those of each kind, then all."""
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
        about: of each answer, what it is about: the groups of the bootstrap.
    """
    metric, subset, direction = measure
    mean = bootstrap_mean(scores, about, draws)
    return Row(model, metric, subset, direction, *mean, len(scores))


def spread(questions: Questions, most: int) -> Questions:
    """At most so many of the questions, evenly spread over the list."""
    if not most or len(questions) <= most:
        return questions
    return questions.take(np.linspace(0, len(questions) - 1, most).round().astype(int))
