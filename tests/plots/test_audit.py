"""The verdicts and values of an audit in pictures, held against its rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
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


def test_verdicts_and_values_are_drawn_where_they_are(made: Audit):
    data = audit_verdicts_data(made)
    (axes,) = audit_verdicts(made).axes
    there = data[data["gap"].notna()]
    expected = np.column_stack([there["gap"], there.index, there["low"], there["high"]])
    assert np.allclose(points(axes), expected)

    axes = audit_values(made, "prompt_leaks").axes[0]
    oracle, original, erased = points(axes)[:3]
    assert np.allclose([oracle[0], original[0], erased[0]], [0.25, 0.0, 0.1])
    assert np.allclose(erased[2:], (0.05, 0.15))
