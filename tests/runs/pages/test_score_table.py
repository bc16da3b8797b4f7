"""The scorecard as a table of text."""

from __future__ import annotations

from support_pages import make_card

from erasekit.evaluate.scorecard import MODELS
from erasekit.runs.pages.score_table import score_table


def test_table_averages_directions_and_signs_the_gap():
    table = score_table(make_card(erased=0.2))
    lines = {line["label"]: line for line in table["lines"]}
    assert table["models"] == list(MODELS)
    assert lines["top-1, forget"]["gap"] == "+20.0"
    assert lines["top-1, retain"]["gap"] == "−3.0"
    recall = lines["R@1, retain"]["cells"][0]
    assert recall["value"].startswith("65.0") and recall["interval"] == "55.0 to 75.0"
    assert lines["similarity, forget"]["cells"][1]["value"] == "−0.50"
