"""The benchmark's pictures: means, fronts and stretches as the numbers say, all of them drawn."""

from __future__ import annotations

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


def test_each_method_is_drawn_at_its_gaps_and_its_cost(found):
    data = plots.methods_data(found).set_index("number")
    for draw, x, y in (
        (plots.methods_tradeoff, "forget", "retain"),
        (plots.methods_cost, "cost", "average_gap"),
    ):
        numbers = {text.get_text(): text.get_position() for text in draw(found).axes[0].texts}
        for number in (1, 2, 4):
            assert numbers[str(number)] == (data.loc[number, x], data.loc[number, y])
