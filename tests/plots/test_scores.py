"""Bars and comparisons show the scorecard's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.container import BarContainer, ErrorbarContainer
from support_plots import card_of, points

from erasekit import plots
from erasekit.evaluate.scorecard import Scorecard
from erasekit.plots.scores import compare_data, scorecard_bars_data


def test_bars_and_comparison_show_the_scorecards_own_numbers(tiny_scorecard):
    for line in scorecard_bars_data(tiny_scorecard).itertuples():
        assert line.value == tiny_scorecard.value(line.model, line.metric, line.subset)
    other = Scorecard(tiny_scorecard.task, {}, tiny_scorecard.rows[::-1])
    data = compare_data({"second": other, "first": tiny_scorecard})
    assert list(dict.fromkeys(data["run"])) == ["second", "first"]
    for line in data.itertuples():
        assert line.value == tiny_scorecard.value(line.model, line.metric, line.subset)
    assert len(data) == 2 * 4 * len(tiny_scorecard.models)


def test_bars_reach_from_low_to_high(tiny_scorecard):
    data = scorecard_bars_data(tiny_scorecard)
    figure = plots.scorecard_bars(tiny_scorecard)
    for axes, metric in zip(figure.axes, ("top1", "similarity"), strict=True):
        part = data[data["metric"] == metric]
        bars = [bar for bars in axes.containers if isinstance(bars, BarContainer) for bar in bars]
        assert [bar.get_height() for bar in bars] == pytest.approx(list(part["value"]))
        ends = [
            segment[:, 1]
            for bars in axes.containers
            if isinstance(bars, ErrorbarContainer)
            for segment in bars.lines[2][0].get_segments()
        ]
        expected = part[["low", "high"]].to_numpy().copy()
        expected[:, 0] = np.minimum(expected[:, 0], part["value"])
        expected[:, 1] = np.maximum(expected[:, 1], part["value"])
        assert np.allclose(ends, expected)


def test_a_comparison_has_a_point_for_every_value(tiny_scorecard):
    cards = {"a": tiny_scorecard, "b": card_of({("erased", "top1", "forget"): 0.3})}
    data, figure = compare_data(cards), plots.compare(cards)
    shown = list(dict.fromkeys(zip(data["metric"], data["subset"], strict=True)))
    wanted = [("top1", "forget"), ("top1", "neighbours"), ("top1", "retain")]
    assert set(shown) == {*wanted, ("similarity", "forget")}
    for axes, (metric, subset) in zip(
        figure.axes, [*wanted, ("similarity", "forget")], strict=True
    ):
        part = data[(data["metric"] == metric) & (data["subset"] == subset)]
        assert [x for x, *_ in points(axes)] == pytest.approx(list(part["value"]))
        lanes = [round(y) for _, y, *_ in points(axes)]
        assert lanes == [["a", "b"].index(run) for run in part["run"]]
