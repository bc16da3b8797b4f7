"""A scorecard as a table of text: each measure with its interval and gap, and what it cost."""

from __future__ import annotations

from typing import Any

from erasekit.evaluate.scorecard import Scorecard

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
}
_COST_NAMES = {
    "original": "training the original",
    "erased": "erasing",
    "control": "fine-tuning the control",
    "oracle": "retraining: the oracle",
}


def score_table(scorecard: Scorecard) -> dict[str, Any]:
    """The scorecard as text: models, and for each measure its cells and its gap.

    Directions of one measure are averaged, value and interval ends alike.
    """
    models = scorecard.models
    has_gap = {"erased", "oracle"} <= set(models)
    wanted = list(dict.fromkeys((row.metric, row.subset) for row in scorecard.rows))
    order = list(_MEASURES)
    wanted.sort(key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))
    lines = []
    for metric, subset in wanted:
        line: dict[str, Any] = {
            "label": f"{_MEASURES.get(metric, metric)}, {subset}",
            "cells": [_cell(scorecard, model, metric, subset) for model in models],
        }
        if has_gap:
            line["gap"] = points(scorecard.gap(metric, subset))
        lines.append(line)
    return {"models": models, "has_gap": has_gap, "lines": lines}


def _cell(card: Scorecard, model: str, metric: str, subset: str) -> dict[str, str]:
    rows = [r for r in card.rows if (r.model, r.metric, r.subset) == (model, metric, subset)]
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
    """What each model took, as text: a line a model."""
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
