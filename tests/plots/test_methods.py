"""The benchmark's pictures: means, fronts and stretches as the numbers say, all of them drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_plots import drawn

from erasekit.plots import methods as plots


def result(method: str, gap: float, forget: float, retain: float, **more) -> dict:
    return {
        "method": method,
        "kind": "method",
        "average_gap": gap,
        "top1_forget_gap": forget,
        "top1_retain_gap": retain,
        "retraining_share": 0.1,
        **more,
    }


@pytest.fixture
def found() -> pd.DataFrame:
    return pd.DataFrame(
        [
            result("cliperase", 8, 0, -9),
            result("cliperase", 10, 2, -11),
            result("never_seen", 3, 4, -2),
            result("npo", 30, 20, -30),
            result("ssd", 20, None, None, retraining_share=None),
            result("original", 27, 95, 0, kind="reference", retraining_share=None),
            result("oracle (floor)", 2, 1, 1, kind="floor"),
        ]
    )


def test_methods_are_numbered_by_their_mean_gap_and_references_are_not(found):
    data = plots.methods_data(found).set_index("method")
    assert data["number"].to_dict() == {
        "never_seen": 1,
        "cliperase": 2,
        "ssd": 3,
        "original": 0,
        "npo": 4,
    }
    assert data.loc["cliperase", ["average_gap", "forget", "retain"]].tolist() == [9, 1, -10]


def test_the_front_holds_what_none_beats_on_both(found):
    front = plots.pareto_front(plots.methods_data(found))
    assert front["method"].tolist() == ["cliperase", "never_seen"]
    # Below the oracle is as far from it as above.
    below = pd.concat([found, pd.DataFrame([result("munba", 5, -3, 1)])])
    assert set(plots.pareto_front(plots.methods_data(below))["method"]) == {"cliperase", "munba"}


@given(st.lists(st.floats(1, 20), min_size=2, max_size=12, unique=True), st.floats(0.1, 10))
def test_a_stretch_is_no_longer_than_the_difference_and_cannot_be_lengthened(ranks, difference):
    stretches = plots.groups_alike(pd.Series(ranks), difference)
    for first, last in stretches:
        assert 0 < last - first <= difference
        assert not any(last < r and r - first <= difference for r in ranks)
    alike = {(a, b) for a in ranks for b in ranks if 0 < b - a <= difference}
    covered = {(a, b) for a, b in alike if any(f <= a and b <= e for f, e in stretches)}
    assert covered == alike


def test_every_picture_is_drawn_and_names_every_method(found):
    for draw in (plots.methods_tradeoff, plots.methods_cost):
        figure = draw(found)
        drawn(figure)
        (legend,) = figure.legends
        words = " ".join(text.get_text() for text in legend.get_texts())
        assert all(name in words for name in ("never_seen", "cliperase", "npo"))
        ranks = pd.Series({"never_seen": 1.2, "cliperase": 2.1, "npo": 2.7})
    figure = plots.critical_difference(ranks, 1.0, 8)
    drawn(figure)
    words = {text.get_text() for text in figure.axes[0].texts}
    assert {
        "never_seen  1.2",
        "cliperase  2.1",
        "2.7  npo",
        "critical difference, 8 tasks",
    } <= words


def big_points(figure) -> list[tuple[float, float]]:
    """The methods' own markers, which are larger than a tick and smaller than a ring."""
    lines = figure.axes[0].lines
    return [
        tuple(map(float, line.get_xydata()[0])) for line in lines if line.get_markersize() == 13
    ]


def test_methods_stand_where_their_means_are(found):
    data = plots.methods_data(found)
    figure = plots.methods_tradeoff(found)
    placed = data.dropna(subset=["forget"])
    assert big_points(figure) == list(zip(placed["forget"], placed["retain"], strict=True))
    rings = [line for line in figure.axes[0].lines if line.get_markersize() == 19]
    front = plots.pareto_front(data)
    assert {tuple(line.get_xydata()[0]) for line in rings} == set(
        zip(front["forget"], front["retain"], strict=True)
    )
    figure = plots.methods_cost(found)
    paid = data.dropna(subset=["cost"])
    assert np.allclose(big_points(figure), paid[["cost", "average_gap"]])
    assert list(figure.axes[0].lines[0].get_ydata()) == [2, 2], "the floor"


def test_ranks_stand_on_their_scale():
    ranks = pd.Series({"never_seen": 1.25, "cliperase": 2.0, "npo": 2.75})
    axes = plots.critical_difference(ranks, 1.0, 8).axes[0]
    marks = [line for line in axes.lines if line.get_markersize() == 7]
    assert sorted(float(line.get_xdata()[0]) for line in marks) == [1.25, 2.0, 2.75]
    bars = [line for line in axes.lines if line.get_linewidth() == 4]
    reach = [(line.get_xdata()[0] + 0.06, line.get_xdata()[1] - 0.06) for line in bars]
    assert reach == [pytest.approx(stretch) for stretch in plots.groups_alike(ranks, 1.0)]
