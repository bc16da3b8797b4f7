"""Scorecards as short tables."""

from __future__ import annotations

from pathlib import Path

from erasekit.runs.run_folder import RunFolder
from erasekit.runs.tables import headline, models_table, summary


def test_headline_is_the_scorecard_in_per_cent_and_points(whole_run: Path) -> None:
    card = RunFolder.open(whole_run).scorecard
    table = headline(card)
    value = card.value("erased", "top1", "retain")
    assert table.loc["top1 retain", "erased"] == f"{100 * value:.1f} %"
    gap = 100 * (value - card.value("oracle", "top1", "retain"))
    assert table.loc["top1 retain", "gap"] == f"{gap:+.1f}"
    assert list(table.columns) == ["original", "erased", "control", "oracle", "gap"]
    assert f"average gap to the oracle: {card.average_gap():.1f} points" in summary(
        RunFolder(whole_run)
    )


def test_the_table_of_models_has_the_nearest_to_the_oracle_first(whole_run: Path) -> None:
    card = RunFolder.open(whole_run).scorecard
    table = models_table(card)
    assert table.index[0] == "oracle"
    assert table["average gap"].is_monotonic_increasing
    assert table.loc["erased", "average gap"] == card.average_gap()
    assert table.loc["erased", "recall@1 retain"] == card.value("erased", "recall@1", "retain")
    assert list(table.columns)[-1] == "similarity holdout"
