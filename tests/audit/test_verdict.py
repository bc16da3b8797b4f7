"""The rule of the verdicts: its arithmetic, its limits, and how often it is right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from erasekit.audit.base import Estimate, estimate_mean, estimate_statistic
from erasekit.audit.seed_noise import Calibration, Noise
from erasekit.audit.verdict import (
    AS_THE_ORACLE,
    CANNOT_TELL,
    LEAST_MARGIN,
    LESS,
    MORE,
    NO_LONGER_WORKS,
    ORIGINAL_DOES_NOT_KNOW,
    Verdict,
    judge,
    levels,
    summarise,
)


def sure(value: float) -> Estimate:
    """An estimate without any spread over concepts."""
    return sure_of(400, value)


def sure_of(n: int, value: float) -> Estimate:
    return Estimate(value, np.full(200, value), n, 5)


def unsure(value: float, spread: float, seed: int = 0) -> Estimate:
    replicates = value + spread * np.random.default_rng(seed).normal(size=2000)
    return Estimate(value, replicates, 400, 5)


def noise(deviation: float) -> Calibration:
    """Oracles lie this far apart, and it is known so well that those at hand hardly matter."""
    return Calibration(1e6, 10, {"a/b": Noise(deviation**2, 0.0)}, {})


def said(own: Estimate, oracles, sense, *, deviation: float = 0.01, **more) -> Verdict:
    return judge(own, oracles, sense, metric="a/b", calibration=noise(deviation), **more)


AGREED = [sure(0.50), sure(0.51), sure(0.49)]
#: The standard error of a gap to three oracles that lie one point apart.
ERROR = 0.01 * np.sqrt(4 / 3)


def test_gap_range_margin_and_smallest_gap_by_hand():
    found = said(sure(0.6), AGREED, "remembered", level=0.01, original=sure(0.9))
    assert found.gap == pytest.approx(0.1)
    assert found.high - found.gap == pytest.approx(stats.t.ppf(0.975, 10) * ERROR, rel=1e-4)
    assert found.gap - found.low == pytest.approx(found.high - found.gap)
    assert found.margin == pytest.approx(stats.t.ppf(0.995, 10) * ERROR, rel=1e-4)
    assert found.smallest == pytest.approx(found.margin + stats.t.ppf(0.9, 10) * ERROR, rel=1e-4)
    kept = said(sure(0.6), AGREED, "kept", level=0.01)
    assert kept.margin == pytest.approx(stats.t.ppf(0.99, 10) * ERROR, rel=1e-4)


def test_oracles_that_never_differ_leave_the_least_margin():
    few, many = (
        said(sure_of(n, 0.0), [sure_of(n, 0.0)] * 3, "remembered", deviation=0.0)
        for n in (100, 1000)
    )
    assert few.margin == 3 / 100, "three of the hundred pictures"
    assert many.margin == LEAST_MARGIN


def test_one_oracle_has_no_margin():
    alone = said(unsure(0.5, 0.1), [unsure(0.4, 0.1)], "remembered", original=sure(0.9))
    assert (alone.word, alone.margin, alone.smallest) == (CANNOT_TELL, None, None)
    # Both estimates waver together here, so that their difference does not.
    assert [alone.gap, alone.low, alone.high] == pytest.approx([0.1] * 3)


def test_a_model_at_the_smallest_gap_is_accused_nine_times_in_ten():
    rng = np.random.default_rng(0)
    known = noise(0.05)
    smallest = said(sure(0.0), AGREED, "remembered", deviation=0.05).smallest
    accused = 0
    for _ in range(2000):
        values = 0.5 + 0.05 * rng.standard_t(10, size=4) * np.sqrt(8 / 10)
        own, *oracles = [sure(value) for value in values]
        own = sure(own.value + smallest)
        word = judge(own, oracles, "remembered", metric="a/b", calibration=known).word
        accused += word == LESS
    assert accused / 2000 == pytest.approx(0.9, abs=0.04)


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
    assert said(sure(value), AGREED, sense, original=sure(0.9)).word == word


def test_what_is_unusual_for_an_oracle_is_neither_passed_nor_accused():
    for value in (0.535, 0.465):
        odd = said(sure(value), AGREED, "remembered", level=0.001, original=sure(0.9))
        assert (odd.word, odd.reason.split()[0]) == (CANNOT_TELL, "unusual")
    assert said(sure(0.535), AGREED, "kept", level=0.001).word == AS_THE_ORACLE
    assert said(sure(0.465), AGREED, "kept", level=0.001).word == CANNOT_TELL


def test_a_test_that_would_not_see_the_original_acquits_nobody():
    near = said(sure(0.50), AGREED, "remembered", original=sure(0.55))
    assert near.word == CANNOT_TELL
    assert (
        near.reason
        == f"only a gap of {100 * near.smallest:.0f} points or more would have been seen"
    )
    assert said(sure(0.50), AGREED, "remembered").word == CANNOT_TELL


def test_where_oracles_differ_nothing_passes_but_a_great_difference_shows():
    loud = {"deviation": 0.08, "original": sure(1.0)}
    assert said(sure(0.5), AGREED, "remembered", **loud).word == CANNOT_TELL
    assert said(sure(0.5), AGREED, "kept", **loud).word == CANNOT_TELL
    assert "would have been seen" in said(sure(0.5), AGREED, "kept", **loud).reason
    assert said(sure(1.0), AGREED, "remembered", **loud).word == LESS


def test_what_guessing_reaches_is_not_remembered():
    none = [sure(0.0)] * 3
    assert said(sure(0.1), none, "remembered").word == LESS
    assert said(sure(0.1), none, "remembered", chance=0.1).word == CANNOT_TELL
    assert said(sure(0.3), none, "remembered", chance=0.1).word == LESS


def test_what_the_original_does_not_know_says_nothing():
    none = [sure(0.0)] * 3
    known = {"chance": 0.1, "if_original_knows": True}
    ignorant = said(sure(0.0), none, "remembered", original=sure(0.1), **known)
    assert (ignorant.word, ignorant.reason) == (CANNOT_TELL, ORIGINAL_DOES_NOT_KNOW)
    knowing = said(sure(0.0), none, "remembered", original=sure(0.9), **known)
    assert knowing.word == AS_THE_ORACLE


@given(value=st.floats(0, 1), sense=st.sampled_from(["remembered", "kept"]))
def test_a_model_that_no_longer_works_is_accused_as_any_other_but_never_acquitted(value, sense):
    any_other = said(sure(value), AGREED, sense, original=sure(0.9))
    broken = said(sure(value), AGREED, sense, original=sure(0.9), works=False)
    if any_other.word == AS_THE_ORACLE:
        assert (broken.word, broken.reason) == (CANNOT_TELL, NO_LONGER_WORKS)
    else:
        assert broken == any_other


@pytest.mark.parametrize("sense", ["remembered", "kept", "reported"])
def test_without_an_oracle_the_gap_is_to_the_original_and_no_verdict_is_given(sense):
    verdict = said(unsure(0.5, 0.1), [], sense, original=unsure(0.9, 0.1))
    assert verdict.word == CANNOT_TELL
    assert "no oracle: the gap is to the original" in verdict.reason
    assert [verdict.gap, verdict.low, verdict.high] == pytest.approx([-0.4] * 3)
    assert verdict.margin is verdict.smallest is None
    alone = said(sure(0.5), [], sense)
    assert alone.word == CANNOT_TELL
    assert np.isnan([alone.gap, alone.low, alone.high]).all()


@given(
    value=st.floats(0, 1),
    oracles=st.lists(st.floats(0, 1), min_size=2, max_size=4),
    deviation=st.floats(0.001, 0.3),
)
def test_the_same_gap_upside_down_is_the_opposite_verdict(value, oracles, deviation):
    own = unsure(value, 0.05)
    known = {"deviation": deviation}
    mirrored = Estimate(1 - own.value, 1 - own.replicates, own.n, own.concepts)
    opposite = {LESS: MORE, MORE: LESS}
    word = said(own, [sure(v) for v in oracles], "remembered", original=sure(1.0), **known).word
    turned = [sure(1 - v) for v in oracles]
    other = said(mirrored, turned, "remembered", original=sure(0.0), **known).word
    assert other == opposite.get(word, word)


def test_the_parts_of_a_test_add_up_to_its_share():
    for main, others, tests in ((1, 0, 1), (2, 5, 4), (0, 3, 10), (3, 3, 1)):
        of_main, of_others = levels(main, others, tests)
        assert main * of_main + others * of_others == pytest.approx(0.05 / tests)
    assert levels(0, 0, 1) == (0.05, 0.05), "nothing to share"


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


def test_a_gap_is_to_the_mean_of_all_oracles():
    oracles = [sure(value) for value in (0.1, 0.25, 0.55)]
    found = said(sure(0.9), oracles, "remembered", original=sure(0.9))
    assert found.gap == pytest.approx(0.9 - (0.1 + 0.25 + 0.55) / 3)
