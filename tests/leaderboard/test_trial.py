"""What a trial is compared by: a distance that knows the original and no oracle."""

from __future__ import annotations

import math

import pytest

from erasekit.leaderboard import answer_bench, clip_bench
from erasekit.leaderboard.trial import expected_gap, parts

NAMES = clip_bench.ClipBench.measures


def gap(metrics: dict, original: dict) -> float:
    return expected_gap(metrics, original, clip_bench.EXPECTED, NAMES)


def test_a_trial_is_options_of_the_method_and_fields_of_the_spec() -> None:
    assert parts({"steps": 3, "options": {"beta": 1}}) == ({"beta": 1}, {"steps": 3})
    assert parts({}) == ({}, {})


def test_the_expected_gap_knows_the_original_and_no_oracle() -> None:
    original = dict.fromkeys(NAMES, 0.8)
    perfect = {**original, "top1_forget": 0.0, "membership_auc_forget": 0.5}
    assert gap(perfect, original) == 0
    # Forgetting nothing costs 80 points of top-1 and 30 of the AUC, over five measures.
    assert gap(original, original) == pytest.approx((80 + 30) / 5)
    # To gain on the retained is a distance, too.
    assert gap({**perfect, "top1_retain": 0.9}, original) == pytest.approx(10 / 5)
    assert gap({**perfect, "top1_retain": math.nan}, original) == math.inf


def test_of_answers_it_wants_the_forgotten_unseen_and_all_else_kept() -> None:
    original = dict.fromkeys(answer_bench.MEASURES, 0.9)
    found = {**original, "seen forget": 0.2, "told retain": 0.8}
    own = expected_gap(found, original, answer_bench.EXPECTED, tuple(answer_bench.MEASURES))
    assert own == pytest.approx(100 * (0.2 + 0.1) / 5)
