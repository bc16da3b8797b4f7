"""Words that are computed from numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasekit.tutorial.wording import SAME, compared, effect, joined, measured, share

ORDER = ["none", "few", "some", "about half", "most", "nearly all", "all"]


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_never_has_a_smaller_word(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert ORDER.index(share(low)) <= ORDER.index(share(high))


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "none"), (0.01, "few"), (0.2, "some"), (0.5, "about half"), (0.7, "most"), (1, "all")],
)
def test_shares(value, words) -> None:
    assert share(value) == words
    assert share(0.999) == "nearly all"


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 0.5))
def test_a_comparison_turns_with_its_sides(value: float, other: float, within: float) -> None:
    turned = {"higher": "lower", "lower": "higher", "about the same": "about the same"}
    assert compared(other, value, within) == turned[compared(value, other, within)]


def test_a_difference_within_the_tolerance_is_none() -> None:
    assert compared(0.5, 0.45, 0.06) == "about the same"
    assert compared(0.5, 0.4, 0.06) == "higher"


def test_the_usual_tolerance_is_the_five_points_that_notebook_02_states() -> None:
    assert SAME == 0.05
    assert compared(0.5, 0.46) == "about the same" and compared(0.5, 0.44) == "higher"


def test_a_measure_is_named_in_words() -> None:
    assert measured("membership_auc", "forget") == "membership AUC (forget)"
    assert measured("recall@1", "retain") == "recall@1 (retain)"


def test_names_in_a_sentence() -> None:
    assert [joined(list("abc")[:n]) for n in range(4)] == ["none", "a", "a and b", "a, b and c"]


def test_an_effect_has_one_sign_and_is_larger_than_its_spread() -> None:
    assert effect([2.0, 3.0, 2.5]) == effect([-2.0, -3.0]) == "measurable"
    for differences in ([-1.0, 3.0], [0.5, 4.0], [0.0, 0.0]):
        assert effect(differences) == "no measurable difference"
    assert "one run" in effect([5.0])
