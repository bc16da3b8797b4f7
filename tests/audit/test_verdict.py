"""The rule of the verdicts: its arithmetic, its limits, and how often it is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasekit.audit.base import Estimate, estimate_mean, estimate_statistic
from erasekit.audit.verdict import (
    AS_THE_ORACLE,
    CANNOT_TELL,
    LEAST_MARGIN,
    LESS,
    MORE,
    NO_LONGER_WORKS,
    ORIGINAL_DOES_NOT_KNOW,
    judge,
    margin_of,
    summarise,
)


def sure(value: float) -> Estimate:
    """An estimate without any spread over concepts."""
    return Estimate(value, np.full(2000, value), 100)


def sure_of(n: int, value: float) -> Estimate:
    return Estimate(value, np.full(200, value), n)


def unsure(value: float, spread: float, seed: int = 0) -> Estimate:
    return Estimate(value, value + spread * np.random.default_rng(seed).normal(size=2000), 100)


AGREED = [sure(0.50), sure(0.51), sure(0.49)]


def test_the_margin_by_hand():
    # Variance of .50, .51, .49 is .0001; a further oracle's gap to their mean varies by 4/3 of it.
    deviation = np.sqrt(0.0001 * (1 + 1 / 3))
    assert margin_of(AGREED) == pytest.approx((1.644854 + 2.326348) * deviation, rel=1e-5)


def test_oracles_that_agree_leave_the_least_margin():
    assert margin_of([sure(0.0)] * 3) == 3 / 100, "three of the hundred pictures"
    many = Estimate(0.0, np.zeros(2000), 1000)
    assert margin_of([many] * 3) == LEAST_MARGIN


def test_one_oracle_has_no_margin():
    assert margin_of([sure(0.5)]) is None
    assert judge(sure(0.5), [sure(0.5)], "remembered").word == CANNOT_TELL


def test_concepts_that_oracles_differ_on_widen_the_margin_even_where_means_agree():
    same_mean = [unsure(0.5, 0.1, seed) for seed in range(3)]
    half_the_variance_of_a_difference = np.mean(
        [
            np.var(a.replicates - b.replicates) / 2
            for a, b in ((same_mean[0], same_mean[1]), (same_mean[0], same_mean[2]), same_mean[1:])
        ]
    )
    wanted = (1.644854 + 2.326348) * np.sqrt(half_the_variance_of_a_difference * 4 / 3)
    assert margin_of(same_mean) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("value", "sense", "word"),
    [
        (0.50, "remembered", AS_THE_ORACLE),
        (0.52, "remembered", AS_THE_ORACLE),
        (0.80, "remembered", LESS),
        (0.20, "remembered", MORE),
        (0.80, "kept", AS_THE_ORACLE),
        (0.20, "kept", MORE),
        (0.20, "reported", CANNOT_TELL),
    ],
)
def test_what_lies_where_is_called_what(value, sense, word):
    assert judge(sure(value), AGREED, sense, original=sure(0.9)).word == word


def test_low_power_never_passes():
    vague = judge(unsure(0.50, 0.2), AGREED, "remembered", original=sure(0.9))
    assert vague.word == CANNOT_TELL
    assert judge(unsure(0.50, 0.2), AGREED, "kept").word == CANNOT_TELL


def test_a_test_that_would_acquit_the_original_acquits_nobody():
    blind = judge(sure(0.50), AGREED, "remembered", original=sure(0.55))
    assert blind.word == CANNOT_TELL
    assert "hardly tell the original" in blind.reason
    assert judge(sure(0.50), AGREED, "remembered").word == CANNOT_TELL


def test_where_the_oracles_disagree_nothing_passes_but_a_great_difference_shows():
    apart = [sure(0.2), sure(0.3), sure(0.4)]
    assert judge(sure(0.3), apart, "remembered", original=sure(1.0)).word == CANNOT_TELL
    assert judge(sure(0.3), apart, "kept").word == CANNOT_TELL
    assert "differ too much" in judge(sure(0.3), apart, "kept").reason
    assert judge(sure(1.0), apart, "remembered").word == LESS


def test_what_guessing_reaches_is_not_remembered():
    none = [sure(0.0)] * 3
    assert judge(sure(0.1), none, "remembered").word == LESS
    assert judge(sure(0.1), none, "remembered", chance=0.1).word == CANNOT_TELL
    assert judge(sure(0.3), none, "remembered", chance=0.1).word == LESS


def test_what_the_original_does_not_know_says_nothing():
    none = [sure(0.0)] * 3
    known = {"chance": 0.1, "if_original_knows": True}
    ignorant = judge(sure(0.0), none, "remembered", original=sure(0.1), **known)
    assert (ignorant.word, ignorant.reason) == (CANNOT_TELL, ORIGINAL_DOES_NOT_KNOW)
    knowing = judge(sure(0.0), none, "remembered", original=sure(0.9), **known)
    assert knowing.word == AS_THE_ORACLE


@given(value=st.floats(0, 1), sense=st.sampled_from(["remembered", "kept"]))
def test_a_model_that_no_longer_works_is_accused_as_any_other_but_never_acquitted(value, sense):
    any_other = judge(sure(value), AGREED, sense, original=sure(0.9))
    broken = judge(sure(value), AGREED, sense, original=sure(0.9), works=False)
    if any_other.word == AS_THE_ORACLE:
        assert (broken.word, broken.reason) == (CANNOT_TELL, NO_LONGER_WORKS)
    else:
        assert broken == any_other


@pytest.mark.parametrize("sense", ["remembered", "kept", "reported"])
def test_without_an_oracle_the_gap_is_to_the_original_and_no_verdict_is_given(sense):
    verdict = judge(unsure(0.5, 0.1), [], sense, original=unsure(0.9, 0.1))
    assert verdict.word == CANNOT_TELL
    assert "no oracle: the gap is to the original" in verdict.reason
    # Both estimates waver together here, so that their difference does not.
    assert [verdict.gap, verdict.low, verdict.high] == pytest.approx([-0.4] * 3)
    assert verdict.margin is None
    alone = judge(sure(0.5), [], sense)
    assert alone.word == CANNOT_TELL
    assert np.isnan([alone.gap, alone.low, alone.high]).all()


@given(
    value=st.floats(0, 1),
    oracles=st.lists(st.floats(0, 1), min_size=2, max_size=4),
    spread=st.floats(0, 0.3),
)
def test_the_same_gap_upside_down_is_the_opposite_verdict(value, oracles, spread):
    own = unsure(value, spread)
    mirrored = Estimate(1 - own.value, 1 - own.replicates, own.n)
    opposite = {LESS: MORE, MORE: LESS}
    word = judge(own, [sure(v) for v in oracles], "remembered", original=sure(1.0)).word
    other = judge(mirrored, [sure(1 - v) for v in oracles], "remembered", original=sure(0.0)).word
    assert other == opposite.get(word, word)


def test_an_oracle_of_another_seed_is_nearly_always_as_the_oracle():
    # Accuracy of each concept wavers from seed to seed, more between concepts than that.
    rng = np.random.default_rng(0)
    concepts = np.repeat(np.arange(8), 12)
    words = []
    for _ in range(300):
        level = rng.uniform(0.5, 0.95, size=8)
        models = [
            estimate_mean(
                (level + rng.normal(0, 0.03, size=8))[concepts] + rng.normal(0, 0.05, 96),
                concepts,
                draws=200,
            )
            for _ in range(4)
        ]
        words.append(judge(models[0], models[1:], "remembered", original=sure_of(96, 2.0)).word)
    assert words.count(AS_THE_ORACLE) / len(words) > 0.85
    assert (words.count(LESS) + words.count(MORE)) / len(words) < 0.02


def test_the_gravest_word_speaks_for_all():
    fine = [AS_THE_ORACLE]
    assert summarise([AS_THE_ORACLE, MORE, LESS, CANNOT_TELL], fine) == LESS
    assert summarise([AS_THE_ORACLE, MORE, CANNOT_TELL], fine) == MORE
    assert summarise([AS_THE_ORACLE, CANNOT_TELL], fine) == AS_THE_ORACLE
    assert summarise([AS_THE_ORACLE, CANNOT_TELL], [AS_THE_ORACLE, CANNOT_TELL]) == CANNOT_TELL
    assert summarise([], []) == CANNOT_TELL


def test_replicates_of_two_models_belong_together():
    concepts = np.repeat(np.arange(5), 4)
    values = np.random.default_rng(0).random(20)
    one, two = (estimate_mean(values + shift, concepts, draws=50) for shift in (0.0, 0.25))
    assert np.allclose(two.replicates - one.replicates, 0.25)
    mean = estimate_statistic(lambda rows: float(values[rows].mean()), concepts, draws=50)
    assert mean.value == pytest.approx(one.value)
    assert mean.interval[0] <= mean.value <= mean.interval[1]


def test_a_gap_is_to_the_mean_of_all_oracles_and_so_is_its_interval():
    rng = np.random.default_rng(3)
    drawn = rng.normal(0, 0.02, size=(4, 2000))
    own, *oracles = (
        Estimate(value, value + spread, 100)
        for value, spread in zip((0.9, 0.1, 0.25, 0.55), drawn, strict=True)
    )
    found = judge(own, oracles, "remembered", original=sure(0.9))
    assert found.gap == pytest.approx(0.9 - (0.1 + 0.25 + 0.55) / 3)
    gaps = found.gap + drawn[0] - drawn[1:].mean(0)
    assert [found.low, found.high] == pytest.approx(np.quantile(gaps, [0.05, 0.95]).tolist())
