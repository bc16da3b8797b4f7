"""Bars and comparisons show the scorecard's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from support_plots import points

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


def test_the_height_of_each_bar_is_its_value(tiny_scorecard):
    axes = plots.scorecard_bars(tiny_scorecard).axes[0]
    heights = [bar.get_height() for bars in axes.containers[::2] for bar in bars]
    expected = [
        tiny_scorecard.value(model, "top1", subset)
        for model in tiny_scorecard.models
        for subset in ("forget", "neighbours", "retain")
    ]
    assert heights == pytest.approx(expected)


def test_compared_runs_are_drawn_at_their_values_in_their_rows(tiny_scorecard):
    runs = {"a": tiny_scorecard, "b": tiny_scorecard}
    for axes, (metric, subset) in zip(
        plots.compare(runs).axes,
        [("top1", "forget"), ("top1", "neighbours"), ("top1", "retain"), ("similarity", "forget")],
        strict=True,
    ):
        found = points(axes)
        rows = [row for row in tiny_scorecard.rows if (row.metric, row.subset) == (metric, subset)]
        expected = [(row.value, row.low, row.high) for row in rows] * 2
        assert np.allclose([(x, low, high) for x, _, low, high in found], expected)
        assert [round(y) for _, y, *_ in found] == [0] * len(rows) + [1] * len(rows)
