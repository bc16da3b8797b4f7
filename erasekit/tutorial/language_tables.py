"""What the notebooks show of multimodal language models, as tables and short lists."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.evaluate.answer_scores import METRICS, score_answers
from erasekit.frames import records, where
from erasekit.models.mllm import Mllm


def questions_table(task: MllmTask, split: str = "test") -> pd.DataFrame:
    """One question of each kind, with its answer and how many there are of it."""
    lines = []
    for (mode, subset), asked in task.subsets(split).items():
        if subset == "retain":
            for kind in dict.fromkeys(q.kind for q in asked):
                of = asked.where(lambda q, kind=kind: q.kind == kind)
                lines.append((mode, kind, of.items[0].text, of.items[0].answer, len(of)))
    columns = ["mode", "kind", "for instance", "answer", "questions"]
    return pd.DataFrame(lines, columns=columns).set_index(["mode", "kind"])


def one_question_each(task: MllmTask, others: int = 2, split: str = "test") -> Questions:
    """What is this? for one picture of each of three forgotten things, and of some others."""
    subsets = task.subsets(split)
    return _join(
        _first_of_each(subsets["visual", "forget"], task.forgotten[:3], "name"),
        _first_of_each(
            subsets["visual", "retain"],
            [n for n in task.neighbours if n not in task.forgotten][:others],
            "name",
        ),
    )


def one_text_question_each(task: MllmTask, split: str = "test") -> Questions:
    """One text question of each kind about the first forgotten thing."""
    asked = task.subsets(split)["text", "forget"].about_any(task.forgotten[:1])
    kinds = list(dict.fromkeys(q.kind for q in asked))
    return asked.take([next(i for i, q in enumerate(asked) if q.kind == k) for k in kinds])


def _first_of_each(questions: Questions, names, kind: str) -> Questions:
    rows = []
    for name in names:
        rows += [i for i, q in enumerate(questions) if q.kind == kind and q.about[0] == name][:1]
    return questions.take(rows)


def _join(one: Questions, other: Questions) -> Questions:
    return Questions(one.items + other.items, one.images)


def said(models: Mapping[str, Mllm], questions: Questions) -> dict[str, list[str]]:
    """What each model says to each question."""
    return {name: model.answer(questions) for name, model in models.items()}


def said_table(models: Mapping[str, Mllm], questions: Questions) -> pd.DataFrame:
    """Each question with the right answer and each model's."""
    columns = {"right": [q.answer for q in questions], **said(models, questions)}
    return pd.DataFrame(columns, index=[q.text for q in questions])


def values(scores: pd.DataFrame) -> dict[str, float]:
    """Percent of right answers as ``mode_subset_model``: recognition in pictures, all in words.

    Args:
        scores: of `evaluate_mllm`.
    """
    wanted = {"visual": "recognition", "text": "all"}
    exact = where(scores, metric="exact_match")
    return {
        f"{row.mode}_{row.subset}_{row.model}": 100 * float(row.value)
        for row in records(exact)
        if row.kind == wanted[row.mode]
    }


def by_metric(task: MllmTask, models: Mapping[str, Mllm], split: str = "test") -> pd.DataFrame:
    """How the forgotten things' names are counted right, each metric a column, in percent."""
    asked = task.subsets(split)["visual", "forget"].where(lambda q: q.kind == "name")
    found = {name: score_answers(model, asked, METRICS) for name, model in models.items()}
    lines = {
        name: {metric: 100 * each.mean() for metric, each in scores.items()}
        for name, scores in found.items()
    }
    return pd.DataFrame(lines).T


def change_by_kind(scores: pd.DataFrame, subset: str = "retain") -> pd.DataFrame:
    """Points that each model lost or won against the original in pictures, a row a kind."""
    rows = where(scores, mode="visual", subset=subset, metric="exact_match")
    table = 100 * rows.pivot_table(index="kind", columns="model", values="value", sort=False)
    change = table.sub(table["original"], axis=0).drop(columns="original")
    return change.drop(index=["recognition", "all"])


def audit_table(audit: pd.DataFrame) -> pd.DataFrame:
    """A row a test and condition, a column a model, in percent; of `audit_mllm`."""
    table = audit.pivot_table(
        index=["test", "condition"], columns="model", values="value", sort=False
    )
    return 100 * table


def changed(one: Mllm, other: Mllm, questions: Questions) -> float:
    """Percent of the questions that two models answer differently."""
    pairs = zip(one.answer(questions), other.answer(questions), strict=True)
    return 100 * float(np.mean([first != second for first, second in pairs]))
