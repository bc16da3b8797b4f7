"""Forgetting against retaining: the scorecard's numbers, or points."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from support_plots import card_of, drawn, points

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
    bare = forget_retain_data({"F": (0.1, 0.2)}).loc["F"]
    assert (bare["forget"], bare["retain"]) == (0.1, 0.2) and np.isnan(bare["forget_low"])
    assert isinstance(drawn(plots.forget_retain({"F": (0.0, 0.2), "oracle": (0.0, 0.2)})), Figure)


def test_each_model_is_drawn_where_its_values_are():
    values = {"original": (0.9, 0.8), "erased": (0.2, 0.7), "oracle": (0.1, 0.6)}
    card = card_of(
        {
            (model, "top1", subset): value
            for model, both in values.items()
            for subset, value in zip(("forget", "retain"), both, strict=True)
        }
    )
    (axes,) = plots.forget_retain(card).axes
    expected = [(forget, retain, forget - 0.1, forget + 0.1) for forget, retain in values.values()]
    assert np.allclose(points(axes), expected)
    upward = [bars[1].get_segments()[0][:, 1] for _, _, bars in axes.containers]
    assert np.allclose(upward, [(retain - 0.1, retain + 0.1) for _, retain in values.values()])


def test_forgetting_is_drawn_across_and_retaining_up(tiny_scorecard):
    data = forget_retain_data(tiny_scorecard)
    axes = plots.forget_retain(tiny_scorecard).axes[0]
    assert [(x, y) for x, y, *_ in points(axes)] == [
        (line.forget, line.retain) for line in data.itertuples()
    ]
    cross = [(line.get_xdata(), line.get_ydata()) for line in axes.lines[:2]]
    oracle = data.loc["oracle"]
    assert set(cross[0][0]) == {oracle["forget"]} and set(cross[1][1]) == {oracle["retain"]}
