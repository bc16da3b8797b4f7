"""The verdicts and values of an audit in pictures, held against its rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from support_plots import AUDITED_MODELS, made_audit, points

from erasekit.audit.suite import Audit
from erasekit.audit.verdict import AS_THE_ORACLE, LESS
from erasekit.errors import RunError
from erasekit.plots.audit import (
    audit_values,
    audit_values_data,
    audit_verdicts,
    audit_verdicts_data,
)


@pytest.fixture
def made() -> Audit:
    return made_audit()


def test_each_test_is_shown_by_the_value_that_decides_its_verdict(made: Audit):
    data = audit_verdicts_data(made).set_index("test")
    assert data.loc["prompt_leaks", "gap"] == pytest.approx(50), "the gravest of the leaks"
    assert "paraphrase" in str(data.loc["prompt_leaks", "what"])
    assert data.loc["relearning", "gap"] == pytest.approx(1), "the mean acquits"
    assert data.loc["membership", "gap"] == pytest.approx(10), (
        "what is only reported decides nothing"
    )
    assert math.isnan(data.loc["language_leaks", "gap"]), "no oracle, no gap"
    assert data.loc["probes", "low"] < data.loc["probes", "gap"] < data.loc["probes", "high"]
    assert data.loc["probes", "margin"] == pytest.approx(4)


def test_the_values_of_a_test_are_its_rows(made: Audit):
    data = audit_values_data(made, "prompt_leaks")
    assert len(data) == 3 * len(AUDITED_MODELS)
    assert set(data.loc[data["model"] == "erased", "verdict"]) == {LESS, AS_THE_ORACLE}
    with pytest.raises(RunError, match="did not run"):
        audit_values(made, "compression")


def test_gaps_and_margins_are_drawn_where_they_lie(made: Audit):
    data = audit_verdicts_data(made)
    axes = audit_verdicts(made).axes[0]
    assert [x for x, *_ in points(axes)] == pytest.approx(list(data["gap"].dropna()))
    ends = [
        segment[:, 0]
        for bar in axes.containers
        if isinstance(bar, ErrorbarContainer)
        for segment in bar.lines[2][0].get_segments()
    ]
    assert np.allclose(ends, data[["low", "high"]].dropna())
    bands = [(patch.get_x(), patch.get_width()) for patch in axes.patches]
    assert np.allclose(bands, [(-margin, 2 * margin) for margin in data["margin"].dropna()])


def test_the_values_of_a_test_are_drawn_with_the_oracles_range_and_mean(made: Audit):
    figure = audit_values(made, "prompt_leaks")
    data = audit_values_data(made, "prompt_leaks")
    for axes, metric in zip(figure.axes, ("top1", "similarity"), strict=True):
        part = data[data["metric"] == metric]
        expected = []
        for _, of in part.groupby("condition", sort=False):
            by_model = of.set_index("model")["value"]
            oracles = by_model[[name for name in by_model.index if name.startswith("oracle")]]
            expected += [oracles.mean(), by_model["original"], by_model["erased"]]
        assert [x for x, *_ in points(axes)] == pytest.approx(expected)
        for patch in axes.patches:
            assert (patch.get_x(), patch.get_width()) == pytest.approx((0.2, 0.1))
