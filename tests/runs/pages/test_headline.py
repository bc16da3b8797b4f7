"""The sentences at the top of a report."""

from __future__ import annotations

import pytest
from support_pages import make_card

from erasekit.errors import RunError
from erasekit.evaluate.scorecard import Scorecard
from erasekit.runs.pages.headline import headline


def leads(card: Scorecard) -> list[str]:
    return [sentence.lead for sentence in headline(card)]


@pytest.mark.parametrize(
    ("erased", "lead"),
    [
        (0.0, "Forgotten."),
        (0.05, "Forgotten."),
        (0.3, "Forgotten in part."),
        (0.8, "Not forgotten."),
    ],
)
def test_headline_says_whether_it_is_forgotten(erased, lead):
    first = headline(make_card(erased=erased))[0]
    assert first.lead == lead
    assert (first.mood == "good") == (lead == "Forgotten.")
    assert f"to {100 * erased:.1f}" in first.text and "95.0" in first.text


@pytest.mark.parametrize(
    ("retain", "near", "lead"),
    [
        (0.9, 0.9, "Kept."),
        (0.9, 0.5, "Kept, but the neighbours are damaged."),
        (0.5, 0.9, "Damaged."),
    ],
)
def test_headline_says_whether_the_rest_was_kept(retain, near, lead):
    assert leads(make_card(retain=retain, near=near))[1] == lead


@pytest.mark.parametrize(
    ("similarity", "lead"),
    [
        (-0.5, "Forgot more than the oracle."),
        (-0.15, "About as the oracle."),
        (0.4, "Forgot less than the oracle."),
    ],
)
def test_headline_compares_with_the_oracle_by_sign(similarity, lead):
    third = headline(make_card(similarity=similarity))[2]
    assert third.lead == lead
    gap = f"{100 * (similarity + 0.1):+.1f}".replace("-", "−")
    assert f"gap {gap} points" in third.text


def test_a_collapsed_model_is_never_about_as_the_oracle():
    card = make_card(similarity=-0.15, retain=0.05)
    assert leads(card)[1:3] == ["Damaged.", "Not as the oracle: the retained are damaged."]


def test_headline_without_an_oracle_says_so():
    card = make_card(models=("original", "erased"))
    assert leads(card) == ["Forgotten.", "Kept.", "No oracle."]


def test_headline_needs_an_erased_model():
    with pytest.raises(RunError, match="no erased model"):
        headline(make_card(models=("original", "oracle")))
