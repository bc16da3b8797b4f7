"""Forgetting against retaining: the scorecard's numbers, or points."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from support_plots import card_of, drawn

from erasekit import plots
from erasekit.plots.tradeoff import forget_retain_data


def test_forget_retain_takes_a_scorecard_or_points():
    card = card_of(
        {
            ("original", "top1", "forget"): 0.9,
            ("original", "top1", "retain"): 0.8,
            ("original", "top1", "neighbours"): 0.1,
            ("original", "similarity", "forget"): 0.2,
        }
    )
    line = forget_retain_data(card).loc["original"]
    assert (line["forget"], line["retain"]) == (0.9, 0.8)
    assert line["forget_low"] == pytest.approx(0.8) and line["retain_high"] == pytest.approx(0.9)
    points = forget_retain_data({"F": (0.1, 0.2)}).loc["F"]
    assert (points["forget"], points["retain"]) == (0.1, 0.2) and np.isnan(points["forget_low"])
    assert isinstance(drawn(plots.forget_retain({"F": (0.0, 0.2), "oracle": (0.0, 0.2)})), Figure)
