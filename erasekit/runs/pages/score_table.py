"""A scorecard as a table of text: each measure with its interval and gap, and the costs."""

from __future__ import annotations

from typing import Any

from erasekit.evaluate.scorecard import Measure, Scorecard

_MEASURES = {
    "top1": "top-1",
    "top5": "top-5",
    "top1_among_forgotten": "top-1 among forgotten names",
    "recall@1": "R@1",
    "recall@5": "R@5",
    "recall@10": "R@10",
    "rank": "rank (share of others that come first)",
    "similarity": "similarity",
    "neighbourhood_kept": "neighbourhood kept",
    "membership_auc": "membership AUC",
    "accuracy:name": "right names",
    "accuracy": "right answers",
    "rouge_l": "ROUGE-L",
    "choice": "right choices",
}
_COST_NAMES = {
    "original": "training the original",
    "erased": "erasing",
    "control": "fine-tuning the control",
    "oracle": "retraining: the oracle",
}


def score_table(scorecard: Scorecard) -> dict[str, Any]:
    """Return the scorecard as text: models, and the cells and the gap of each measure.

    The directions of a measure are averaged, both values and interval ends.
    """
    models = scorecard.models
    has_gap = {"erased", "oracle"} <= set(models)
    order = list(_MEASURES)
    lines = []
    for measure in sorted(
        scorecard.measures, key=lambda m: order.index(m[0]) if m[0] in order else len(order)
    ):
        line: dict[str, Any] = {
            "label": ", ".join([metric_words(measure[0]), *measure[1:]]),
            "cells": [_cell(scorecard, model, measure) for model in models],
        }
        if has_gap:
            line["gap"] = points(scorecard.gap(*measure))
        lines.append(line)
    return {"models": models, "has_gap": has_gap, "lines": lines}


def metric_words(metric: str) -> str:
    """Return the readable name of a metric, with the kind of questions if it has one."""
    name, _, kind = metric.partition(":")
    return _MEASURES.get(metric) or _MEASURES.get(name, name) + (f" ({kind})" if kind else "")


def _cell(card: Scorecard, model: str, measure: Measure) -> dict[str, str]:
    metric = measure[0]
    rows = [row for row in card.rows if row.model == model and row.measure == measure]
    if not rows:
        return {"value": "–", "interval": ""}
    value, low, high = (
        sum(getattr(row, name) for row in rows) / len(rows) for name in ("value", "low", "high")
    )
    if metric == "similarity":
        return {"value": signed(value), "interval": f"{signed(low)} to {signed(high)}"}
    if metric == "membership_auc":
        return {"value": f"{value:.2f}", "interval": f"{low:.2f} to {high:.2f}"}
    return {"value": percent(value), "interval": f"{100 * low:.1f} to {100 * high:.1f}"}


def costs(card: Scorecard) -> list[dict[str, str]]:
    """Return the cost of each model as text: one row per model."""
    names = sorted(card.cost, key=lambda n: list(_COST_NAMES).index(n) if n in _COST_NAMES else 9)
    return [
        {
            "what": str(_COST_NAMES.get(name, name)),
            "steps": str(card.cost[name].get("steps", "–")),
            "seconds": f"{card.cost[name]['seconds']:.1f}" if "seconds" in card.cost[name] else "–",
        }
        for name in names
    ]


def ratio(card: Scorecard) -> str:
    erased, oracle = (card.cost.get(m, {}).get("seconds", 0) for m in ("erased", "oracle"))
    if not erased or not oracle:
        return ""
    ratio = oracle / erased
    if ratio >= 1:
        return f"Retraining took {ratio:.1f} times as long as erasing."
    return f"Erasing took {1 / ratio:.1f} times as long as retraining."


def percent(value: float) -> str:
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def points(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
