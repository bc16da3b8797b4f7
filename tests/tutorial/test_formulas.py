"""Formulas become MathML, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasekit.tutorial.formulas import with_mathml


@pytest.mark.parametrize(
    ("text", "display", "holds"),
    [
        (r"Let $f(x_i)$ be a feature.", "inline", "<msub><mi>x</mi><mi>i</mi></msub>"),
        ("Its mean:\n\n$$\\frac{1}{N}\n\\sum_i c_i$$\n", "block", "<mfrac>"),
        (r"a $x$, then more", "inline", "<mi>x</mi>"),
    ],
)
def test_a_formula_is_written_as_mathml(text: str, display: str, holds: str) -> None:
    page = with_mathml(text)
    assert f'display="{display}"' in page
    assert holds in page
    assert "$" not in page


@pytest.mark.parametrize(
    "text",
    [
        "`$x$` is code",
        "```\ncost = $5 and $6\n```",
        "It costs $5, or $ 6 $ in all.",
        "A price of 5$ and 6$ more",
        r"an escaped \$x$",
    ],
)
def test_what_is_no_formula_stays(text: str) -> None:
    assert with_mathml(text) == text


@given(st.text(st.characters(exclude_characters="$"), max_size=60))
def test_text_without_a_dollar_stays(text: str) -> None:
    assert with_mathml(text) == text
