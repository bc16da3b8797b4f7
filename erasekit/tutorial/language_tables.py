"""What the notebooks show of multimodal language models, as tables and short lists."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from erasekit.audit.audit_result import Audit
from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.evaluate.answer_scores import METRICS, score_answers
from erasekit.evaluate.scorecard import Scorecard
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


def one_text_question_each(task: MllmTask, split: str = "test") -> Questions:
    """One text question of each kind about the first forgotten thing."""
    asked = task.subsets(split)["text", "forget"].about_any(task.forgotten[:1])
    kinds = list(dict.fromkeys(q.kind for q in asked))
    return asked.take([next(i for i, q in enumerate(asked) if q.kind == k) for k in kinds])


def said_table(models: Mapping[str, Mllm], questions: Questions) -> pd.DataFrame:
    """Each question with the right answer and each model's."""
    said = {name: model.answer(questions) for name, model in models.items()}
    columns = {"right": [q.answer for q in questions], **said}
    return pd.DataFrame(columns, index=[q.text for q in questions])


def values(scores: Scorecard) -> dict[str, float]:
    """Percent of right answers as ``direction_subset_model``: names seen, all that was told."""
    wanted = {("accuracy:name", "seen"), ("accuracy", "told")}
    return {
        f"{row.direction}_{row.subset}_{row.model}": 100 * row.value
        for row in scores.rows
        if (row.metric, row.direction) in wanted
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


def change_by_kind(scores: Scorecard, subset: str = "retain") -> pd.DataFrame:
    """Points that each model lost or won against the original in pictures, a row a kind."""
    rows = [
        {"kind": row.metric.removeprefix("accuracy:"), "model": row.model, "value": 100 * row.value}
        for row in scores.rows
        if (row.subset, row.direction) == (subset, "seen") and row.metric.startswith("accuracy:")
    ]
    table = pd.DataFrame(rows).pivot_table(
        index="kind", columns="model", values="value", sort=False
    )
    return table.sub(table["original"], axis=0).drop(columns="original")


def audit_table(audit: Audit) -> pd.DataFrame:
    """A row a test, metric and condition, a column a model, in percent."""
    keys = ["test", "metric", "condition"]
    return 100 * audit.frame().pivot_table(index=keys, columns="model", values="value", sort=False)


def changed(one: Mllm, other: Mllm, questions: Questions) -> float:
    """Percent of the questions that two models answer differently."""
    pairs = zip(one.answer(questions), other.answer(questions), strict=True)
    return 100 * float(np.mean([first != second for first, second in pairs]))
