"""The page of language models: made from records alone, and the committed one is current."""

from __future__ import annotations

from pathlib import Path

from erasekit.leaderboard.answer_page import PAGE, page_text
from erasekit.leaderboard.answer_summary import shipped

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_shipped_results_give():
    assert (ROOT / "docs" / PAGE).read_text(encoding="utf-8") == page_text(shipped())


def test_a_method_that_was_not_tuned_is_named():
    records = [
        {**r, "method": "another"} if r["method"] == "npo" else r
        for r in shipped()
        if r["split"] == "test"
    ]
    assert "Not tuned, but tested with its defaults: another." in page_text(records)
    assert "Not tuned" not in page_text(shipped())
