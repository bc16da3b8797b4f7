"""Tables and pictures as a notebook shows them."""

from __future__ import annotations

import html
import re

import matplotlib.pyplot as plt
import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st

from erasekit.tutorial.shown import figure_html, table_html
from erasekit.tutorial.wording import readable


def cells(page: str, tag: str) -> list[tuple[str, str]]:
    """Side and text of each cell."""
    return re.findall(rf'<{tag} style="text-align:(\w+);[^"]*">(.*?)</{tag}>', page, re.DOTALL)


def test_text_is_left_numbers_are_right_with_equal_decimals_and_nothing_is_nan() -> None:
    frame = pd.DataFrame(
        {"name": ["a", None], "share": [1 / 3, float("nan")], "n": [3, 4], "ok": [True, False]}
    )
    page = table_html(frame)
    assert [side for side, _ in cells(page, "th")] == ["left", "right", "right", "left"]
    assert [text for _, text in cells(page, "td")] == (
        ["a", "0.33", "3", "True", "–", "–", "4", "False"]
    )


def test_an_index_becomes_columns_of_plain_text() -> None:
    frame = pd.DataFrame({"x": [-0.251, -0.001]}, index=pd.Index(["one", "two"], name="model"))
    page = table_html(frame)
    assert [text for _, text in cells(page, "th")] == ["model", "x"]
    assert [text for _, text in cells(page, "td")] == ["one", "−0.25", "two", "0.00"]
    two = frame.set_index([["a", "b"]], append=True)
    assert [text for _, text in cells(table_html(two), "th")] == ["model", "", "x"]


def test_measures_are_named_in_words_in_headings_and_in_the_index() -> None:
    index = pd.MultiIndex.from_tuples(
        [("top1", "forget"), ("similarity", "forget")], names=["measure", "of"]
    )
    page = table_html(pd.DataFrame({"membership_auc": [1, 2]}, index=index))
    assert [text for _, text in cells(page, "th")] == ["measure", "of", "membership AUC"]
    assert [text for _, text in cells(page, "td")][::3] == ["top-1", "similarity"]
    assert "<td" in table_html(pd.DataFrame({"n": [1]}, index=[7]))


@given(st.text(max_size=30))
@example("top1 <b>")
def test_no_text_is_read_as_html(text: str) -> None:
    page = table_html(pd.DataFrame({text: [text]}))
    assert [html.unescape(found) for _, found in cells(page, "td")] == [text]
    # Names of measures are told in words in a heading.
    assert [html.unescape(found) for _, found in cells(page, "th")] == [readable(text)]


def test_a_long_text_is_cut_off() -> None:
    page = table_html(pd.DataFrame({"x": ["abcdef"]}), letters=4)
    assert cells(page, "td") == [("left", "abc…")]


def test_a_picture_has_its_caption_and_alternative_text() -> None:
    figure, _ = plt.subplots(figsize=(1, 1))
    page = figure_html(figure, "03_loss", 'a < "b"', "c & d")
    plt.close(figure)
    assert "<figcaption>a &lt; &quot;b&quot;</figcaption>" in page
    assert page.startswith('<figure id="03_loss"')
    assert 'alt="c &amp; d"' in page
    assert re.search(r'src="data:image/png;base64,iVBOR[A-Za-z0-9+/=]+"', page)
