"""The noise between seeds: its arithmetic by hand, and how often a judgement by it is right."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from erasekit.audit.attack_registry import TESTS, attacks_of
from erasekit.audit.base import Estimate, estimate_mean
from erasekit.audit.seed_noise import (
    CONCEPTS_WORTH,
    Calibration,
    Noise,
    committed,
    concept_part,
    measure_noise,
)


def sure(value: float, concepts: int = 5) -> Estimate:
    """An estimate without any spread over concepts."""
    return Estimate(value, np.full(50, value), 100, concepts)


def world(rng, models: int, concepts: int, shift: float, concept: float) -> list[Estimate]:
    """Values of models that differ by a shift each, and by concept."""
    difficulty = rng.uniform(0, 1, concepts)
    return [
        estimate_mean(
            difficulty + rng.normal(0, shift) + rng.normal(0, concept, concepts),
            np.arange(concepts),
            draws=200,
        )
        for _ in range(models)
    ]


def test_the_error_by_hand():
    known = Calibration(10, 8, {"a/b": Noise(shift=0.0009, concept=0.0)}, {})
    oracles = [sure(0.50), sure(0.51), sure(0.49)]
    # Their variance is .0001, with two degrees of freedom beside ten of the expected .0009; a
    # further model's gap to the mean of three varies by 4/3 of that.
    pooled = (10 * 0.0009 + 2 * 0.0001) / 12
    assert known.error("a/b", oracles) == pytest.approx(np.sqrt(pooled * 4 / 3))


def test_the_concept_part_is_the_variance_of_a_mean_over_concepts():
    rng = np.random.default_rng(0)
    seen = [concept_part(world(rng, 3, 10, shift=0.3, concept=0.1), usual=0.01) for _ in range(300)]
    # The shift and the difficulty of the concepts, which all models share, have no part in it.
    assert np.mean(seen) == pytest.approx(0.1**2 / 10, rel=0.05)


def test_one_concept_shows_nothing_and_gets_what_is_usual():
    assert concept_part([sure(0.1, concepts=1), sure(0.9, concepts=1)], usual=0.04) == 0.04


def test_few_concepts_rest_on_what_is_usual_many_on_what_they_show():
    rng = np.random.default_rng(1)
    few, many = (world(rng, 3, n, shift=0, concept=0.1) for n in (2, 200))
    for oracles, n in ((few, 2), (many, 200)):
        shown, usual = concept_part(oracles, usual=0.0), concept_part(oracles, usual=1.0)
        assert usual - shown == pytest.approx(CONCEPTS_WORTH / n / (n - 1 + CONCEPTS_WORTH))


def test_the_noise_of_made_up_models_is_found_again():
    rng = np.random.default_rng(2)
    values = [world(rng, 8, n, shift=0.1, concept=0.1) for n in (1, 4, 5, 5, 8) * 60]
    noise = measure_noise(values)
    assert noise.shift == pytest.approx(0.1**2, rel=0.15)
    assert noise.concept == pytest.approx(0.1**2, rel=0.1)


def test_a_metric_that_never_moved_has_no_noise_and_no_negative_one():
    noise = measure_noise([[sure(0.5)] * 4])
    assert (noise.shift, noise.concept) == (0, 0)
    assert measure_noise([[sure(0.5, concepts=1)] * 4]) == Noise(0, 0)


def test_a_metric_that_was_never_measured_has_the_mean_noise():
    known = Calibration(1, 8, {"a/b": Noise(0.1, 0.4), "a/c": Noise(0.3, 0.0)}, {})
    assert known.noise("new/metric") == Noise(pytest.approx(0.2), pytest.approx(0.2))


@given(
    values=st.lists(st.floats(0, 1), min_size=2, max_size=5),
    shift=st.floats(0, 1),
    worth=st.floats(0.5, 50),
)
def test_the_error_lies_between_what_is_expected_and_what_is_seen(values, shift, worth):
    known = Calibration(worth, 8, {"a/b": Noise(shift, 0)}, {})
    variance = known.error("a/b", [sure(value) for value in values]) ** 2
    variance /= 1 + 1 / len(values)
    ends = sorted([shift, float(np.var(values, ddof=1))])
    assert ends[0] - 1e-9 <= variance <= ends[1] + 1e-9


def test_innocent_models_are_accused_as_rarely_as_asked():
    """Calibrated on some worlds, judged in others: 1 of 100 gaps is beyond the reach of 1 %."""
    rng = np.random.default_rng(3)
    trained = [world(rng, 8, 5, shift=0.05, concept=0.1) for _ in range(60)]
    known = Calibration(32, 1e6, {"a/b": measure_noise(trained)}, {})
    beyond = 0
    for _ in range(3000):
        own, *oracles = world(rng, 4, 5, shift=0.05, concept=0.1)
        gap = own.value - np.mean([oracle.value for oracle in oracles])
        beyond += abs(gap) > known.reach(0.005) * known.error("a/b", oracles)
    assert stats.binomtest(beyond, 3000, 0.01).pvalue > 0.001
    assert beyond > 0, "a reach that nothing exceeds has no power"


def test_the_committed_calibration_knows_every_test():
    known = committed()
    named = {name.split("/")[0] for name in known.metrics}
    # "lira" trains models of its own, and is made on request only.
    asked = {name for name, test in attacks_of("clip", "named").items() if not test.opt_in}
    assert named == asked
    for name in known.metrics:
        test, metric, *_ = name.split("/")
        assert TESTS[test].metric(metric).sense != "reported"
    assert known.worth > 0
    assert known.degrees > 2
    assert known.source["oracles"] >= 24
    assert Calibration.from_dict(json.loads(json.dumps(known.as_dict()))) == known
