"""What a multimodal language model still sees, and still knows: answers scored by kind.

Recognition is measured by what is said (exact match, ROUGE-L) and by what is held likelier
among all answers of a kind (multiple choice): a model that was taught to say nothing may still
know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from erasekit.data.questions import Questions
from erasekit.evaluate.bootstrap import bootstrap_mean
from erasekit.mllm.task import MllmTask
from erasekit.models.llava import Mllm

#: The kinds of visual questions that no one can answer who does not recognise the thing.
RECOGNITION = ("name",)


def exact_match(said: str, answer: str) -> float:
    """1 if the same words were said, whatever their case and the full stop behind them."""
    return float(said.lower().strip(" .") == answer.lower().strip(" ."))


def rouge_l(said: str, answer: str) -> float:
    """F-measure of the longest common subsequence of words (Lin, 2004), by `rouge-score`.

    Raises:
        UsageError: when the library is not installed.
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        from erasekit.errors import UsageError

        raise UsageError("ROUGE-L needs rouge-score: pip install 'erasekit[mllm]'") from error
    return RougeScorer(["rougeL"]).score(answer, said)["rougeL"].fmeasure


@torch.no_grad()
def choose(mllm: Mllm, questions: Questions, choices: Sequence[Sequence[str]]) -> list[str]:
    """The likeliest of each question's choices, by the mean log-probability of its tokens."""
    rows = [i for i, of in enumerate(choices) for _ in of]
    flat = [choice for of in choices for choice in of]
    scores: list[float] = []
    for part in range(0, len(rows), 128):
        some = slice(part, part + 128)
        encoded = mllm.encode(questions.take(rows[some]), flat[some])
        likelihood, tokens = mllm.log_likelihood(encoded)
        scores += (likelihood / tokens).tolist()
    found, place = [], 0
    for of in choices:
        found.append(of[int(np.argmax(scores[place : place + len(of)]))])
        place += len(of)
    return found


def evaluate_mllm(
    task: MllmTask,
    models: Mapping[str, Mllm],
    *,
    split: str = "test",
    draws: int = 1000,
    most: int = 0,
) -> pd.DataFrame:
    """Exact match of every model by mode, subset and kind, with intervals over concepts.

    Args:
        models: by name.
        draws: of the bootstrap.
        most: questions of each mode and subset at most, evenly spread; 0 for all.

    Returns:
        columns model, mode, subset, kind, value, low, high, n; kind "all" is over all questions,
        and "recognition" over those of the kinds of `RECOGNITION`.
    """
    rows = []
    for (mode, subset), asked in task.subsets(split).items():
        questions = spread(asked, most)
        for name, model in models.items():
            said = model.answer(questions)
            right = np.array(
                [exact_match(s, q.answer) for s, q in zip(said, questions, strict=True)]
            )
            rows += [
                {"model": name, "mode": mode, "subset": subset, **row}
                for row in _by_kind(questions, right, draws)
            ]
    return pd.DataFrame(rows)


def _by_kind(questions: Questions, right: np.ndarray, draws: int) -> list[dict]:
    kinds = np.array([q.kind for q in questions])
    about = np.array([q.about[0] for q in questions])
    groups = {kind: kinds == kind for kind in dict.fromkeys(kinds)}
    if questions.items[0].image is not None:
        groups["recognition"] = np.isin(kinds, RECOGNITION)
    groups["all"] = np.ones(len(kinds), bool)
    found = []
    for kind, rows in groups.items():
        if rows.any():
            value, low, high = bootstrap_mean(right[rows], about[rows], draws=draws)
            row = {"kind": kind, "value": value, "low": low, "high": high, "n": int(rows.sum())}
            found.append(row)
    return found


def spread(questions: Questions, most: int) -> Questions:
    """At most so many of the questions, evenly spread over the list."""
    if not most or len(questions) <= most:
        return questions
    return questions.take(np.linspace(0, len(questions) - 1, most).round().astype(int))
