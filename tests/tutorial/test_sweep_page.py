"""The page that compares the runs of a sweep."""

from __future__ import annotations

import re
from pathlib import Path

from support_pages import LOADS, make_card

from erasekit.files import write_json
from erasekit.tutorial.sweep_page import write_sweep_page


def make_run(out: Path, name: str, values: dict, failure: str = "", **parameters) -> dict:
    write_json(out / name / "book.json", {"values": values})
    for file in ("book.html", "book.ipynb", "log.txt"):
        (out / name / file).touch()
    return {"notebook": "book", "parameters": parameters, "failure": failure, "seconds": 2.5}


def test_a_row_has_the_parameters_what_was_recorded_and_the_links(tmp_path):
    runs = {
        "a b": make_run(tmp_path, "a b", {"x": 0.123456, "word": "<b>"}, seed=0),
        "c": make_run(tmp_path, "c", {"x": float("nan"), "seed": 7}, "<i>no</i>", forget="fruit"),
    }
    page = write_sweep_page(tmp_path, runs).read_text()
    titles = re.findall(r'<button type="button">(.*?)</button>', page)
    assert titles == ["run", "seed", "forget", "x", "word", "seed (recorded)", "seconds"]
    rows = re.findall(r"<tr><th scope=\"row\".*?</tr>", page, re.DOTALL)
    assert len(rows) == 2
    assert re.findall(r'<td[^>]* data-sort="([^"]*)">([^<]*)</td>', rows[0]) == [
        ("0", "0"),
        ("", "–"),
        ("0.123456", "0.1235"),
        ("&lt;b&gt;", "&lt;b&gt;"),
        ("", "–"),
        ("2.5", "2.5"),
    ]
    assert 'href="a%20b/book.html"' in rows[0]
    assert 'href="a%20b/book.ipynb"' in rows[0]
    assert "&lt;i&gt;no&lt;/i&gt;" in rows[1]
    assert not re.search(r">\s*nan\s*<", page, re.IGNORECASE)
    assert not re.search(LOADS, page.replace("<script>", "", 1)), "sorting is its one script"
    assert 'name="viewport"' in page


def test_texts_are_on_the_left_and_numbers_on_the_right_with_equal_decimals(tmp_path):
    values = [("fruit", 1, 0.5, 1e-5, True), ("bird", 12, 1.0, 0.001, False), ("", 3, 0.25, 1, "")]
    runs = {
        str(at): make_run(tmp_path, str(at), dict(zip("abcde", row, strict=True)), seed=at)
        for at, row in enumerate(values)
    }
    page = write_sweep_page(tmp_path, runs).read_text()
    cells = re.findall(r'<td( class="text")? data-sort="[^"]*">([^<]*)</td>', page)
    columns = [cells[at :: len(cells) // 3] for at in range(1, 6)]
    assert [[text for _, text in column] for column in columns] == [
        ["fruit", "bird", "–"],
        ["1", "12", "3"],
        ["0.50", "1.00", "0.25"],
        ["1e-05", "0.001", "1"],
        ["True", "False", "–"],
    ]
    left = [{bool(side) for side, _ in column} for column in columns]
    assert left == [{True}, {False}, {False}, {False}, {True}]
    heads = re.findall(r'<th scope="col"( class="text")?><button type="button">[a-e]<', page)
    assert list(map(bool, heads)) == [True, False, False, False, True]


def test_where_runs_have_scorecards_their_headlines_are_compared(tmp_path):
    runs = {name: make_run(tmp_path, name, {"x": 1}, seed=0) for name in ("a", "b")}
    make_card().save(tmp_path / "a" / "scorecard.json")
    page = write_sweep_page(tmp_path, runs).read_text()
    titles = re.findall(r'<button type="button">(.*?)</button>', page)
    assert titles[:3] == ["run", "seed", "top1 forget"]
    assert "average gap" in titles
    assert "x" not in titles
    assert not re.search(r">\s*nan\s*<", page, re.IGNORECASE)
