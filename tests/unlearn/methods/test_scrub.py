"""SCRUB departs from the original on forget pairs and follows it on retain pairs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from support_methods import SHAPES, both, contrastive, over_batch, rows_unit, value

from erasekit.unlearn.methods.scrub import SCRUB


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_scrub_departs_on_forget_and_follows_on_retain(n, d, seed) -> None:
    forget, retain = both(n, d, seed)
    terms = SCRUB(forgetting=2, alpha=3, gamma=0.5).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(-2 * over_batch(forget), abs=1e-9)
    assert value(terms, "consistency") == pytest.approx(3 * over_batch(retain), abs=1e-9)
    assert value(terms, "retention") == pytest.approx(
        0.5 * contrastive(rows_unit(retain.image), rows_unit(retain.text), 7.0)
    )
