"""Several runs side by side, as files and as a page."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest
from support_pages import BAD, is_harmless, make_card

from erasekit.evaluate.scorecard import Scorecard
from erasekit.runs.pages.comparison_page import write_comparison
from erasekit.runs.run_folder import RunFolder
from erasekit.runs.tables import comparison, comparison_text


def test_comparison_names_each_run_and_leaves_the_gap_out_without_an_oracle(
    whole_run: Path, tmp_path: Path
) -> None:
    card = RunFolder.open(whole_run).scorecard
    alone = Scorecard(card.task, card.cost, [r for r in card.rows if r.model != "oracle"])
    cards = {"with": card, "without <oracle>": alone}
    table = comparison(cards)
    assert list(table.index) == list(cards)
    assert table.loc["with", "average gap"] == pytest.approx(card.average_gap(), abs=0.01)
    assert math.isnan(table.loc["without <oracle>", "average gap"])
    assert "–" in comparison_text(cards)
    page = write_comparison(cards, tmp_path / "out").read_text(encoding="utf-8")
    assert "without &lt;oracle&gt;" in page
    assert "http" not in page
    with (tmp_path / "out" / "compare.csv").open(encoding="utf-8", newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)] == list(cards)


def test_comparison_escapes_what_comes_from_the_data(tmp_path: Path) -> None:
    card = make_card()
    card.task["forget"] = [BAD]
    page = write_comparison({BAD: card, "b": card}, tmp_path).read_text(encoding="utf-8")
    assert is_harmless(page)
    assert page.count("&lt;script&gt;alert(1)") == 3


@pytest.mark.parametrize("sign", "=+-@")
def test_no_cell_of_the_table_is_a_formula(tmp_path: Path, sign: str) -> None:
    card = make_card()
    card.task["forget"] = [f'{sign}HYPERLINK("http://a.example")']
    write_comparison({f"{sign}1": card, "b": card}, tmp_path)
    with (tmp_path / "compare.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == [f"'{sign}1", "b"]
    assert rows[0]["forget"].startswith(f"'{sign}HYPERLINK")
