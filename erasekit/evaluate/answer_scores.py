"""What a multimodal language model still sees, and still knows: answers scored by kind.

Recognition is measured by what is said (exact match, ROUGE-L) and by which of some answers is
held likeliest (multiple choice): a model that was taught to say nothing may still know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch

from erasekit.data.question_list import Questions, same_words
from erasekit.data.question_task import MllmTask
from erasekit.errors import UsageError, unknown
from erasekit.evaluate.bootstrap import bootstrap_mean
from erasekit.models.mllm import Mllm

#: The kinds of visual questions that no one can answer who does not recognise the thing.
RECOGNITION = ("name",)
METRICS = ("exact_match", "rouge_l", "choice")


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


def evaluate_mllm(
    task: MllmTask,
    models: Mapping[str, Mllm],
    *,
    split: str = "test",
    metrics: Sequence[str] = ("exact_match",),
    draws: int = 1000,
    most: int = 0,
) -> pd.DataFrame:
    """Scores of every model by mode, subset and kind, with intervals over concepts.

    Args:
        models: by name.
        metrics: of `METRICS`.
        draws: of the bootstrap.
        most: questions of each mode and subset at most, evenly spread; 0 for all.

    Returns:
        columns model, mode, subset, metric, kind, value (from 0 to 1), low, high, n; kind "all"
        is over all questions, and "recognition" over those of the kinds of `RECOGNITION`.

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
                place = {"model": name, "mode": mode, "subset": subset, "metric": metric}
                rows += [{**place, **row} for row in _by_kind(questions, scores, draws)]
    return pd.DataFrame(rows)


def score_answers(
    mllm: Mllm, questions: Questions, metrics: Sequence[str] = ("exact_match",)
) -> dict[str, np.ndarray]:
    """By metric, a score from 0 to 1 of each question, shape (n,)."""
    found: dict[str, np.ndarray] = {}
    if set(metrics) - {"choice"}:
        said = mllm.answer(questions)
        pairs = [(s, q.answer) for s, q in zip(said, questions, strict=True)]
        for name, score in (("exact_match", exact_match), ("rouge_l", rouge_l)):
            if name in metrics:
                found[name] = np.array([score(*pair) for pair in pairs])
    if "choice" in metrics:
        chosen = choose(mllm, questions)
        right = [float(c == q.answer) for c, q in zip(chosen, questions, strict=True)]
        found["choice"] = np.array(right)
    return found


def _by_kind(questions: Questions, scores: np.ndarray, draws: int) -> list[dict]:
    kinds = np.array([q.kind for q in questions])
    groups = {kind: kinds == kind for kind in dict.fromkeys(kinds)}
    if questions.items[0].image is not None:
        groups["recognition"] = np.isin(kinds, RECOGNITION)
    groups["all"] = np.ones(len(kinds), bool)
    found = []
    for kind, rows in groups.items():
        if rows.any():
            value, low, high = bootstrap_mean(scores[rows], questions.subjects[rows], draws=draws)
            row = {"kind": kind, "value": value, "low": low, "high": high, "n": int(rows.sum())}
            found.append(row)
    return found


def spread(questions: Questions, most: int) -> Questions:
    """At most so many of the questions, evenly spread over the list."""
    if not most or len(questions) <= most:
        return questions
    return questions.take(np.linspace(0, len(questions) - 1, most).round().astype(int))
