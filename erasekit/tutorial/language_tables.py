"""What the notebooks show of multimodal language models, as tables and short lists."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from erasekit.audit.attacks import answer_probes, answer_relearning
from erasekit.audit.audit_result import Audit
from erasekit.data.question_task import MllmTask
from erasekit.evaluate.scorecard import Scorecard
from erasekit.models.llava_spec import MODULES
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


def values(scores: Scorecard) -> dict[str, float]:
    """Percent of right answers as ``direction_subset_model``: names seen, all that was told."""
    wanted = {("accuracy:name", "seen"), ("accuracy", "told")}
    return {
        f"{row.direction}_{row.subset}_{row.model}": 100 * row.value
        for row in scores.rows
        if (row.metric, row.direction) in wanted
    }


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


def mask_shares(mask: Mapping[str, float], mllm: Mllm) -> dict[str, float]:
    """Share of the weights of each module that a mask lets climb.

    Args:
        mask: of an erasure, shares by parameter name.
        mllm: whose parameters these are.
    """
    found = {}
    for module in MODULES:
        sizes = {name: p.numel() for name, p in mllm.parameters([module]).items()}
        climbing = sum(size * mask.get(name, 0.0) for name, size in sizes.items())
        found[module] = climbing / sum(sizes.values())
    return found


def audit_table(audit: Audit) -> pd.DataFrame:
    """Probes and relearning: a row a measure, a column a model, in percent."""
    tests = (answer_probes.TEST, answer_relearning.TEST)
    labels = {metric.name: metric.label for test in tests for metric in test.metrics}
    frame = audit.frame().pivot_table(index="metric", columns="model", values="value", sort=False)
    return 100 * frame.reindex(list(labels)).rename(index=labels).rename_axis(None)
