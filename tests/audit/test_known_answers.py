"""Known answers are right only if every verdict is."""

from __future__ import annotations

from erasekit.audit.attack_registry import TESTS
from erasekit.audit.known_answers import KNOWN, KnownAnswers
from erasekit.audit.verdict import AS_THE_ORACLE, CANNOT_TELL, LESS, MORE


def test_known_answers_are_right_only_if_every_verdict_is():
    good = {
        "itself": {"relearning": LESS, "probes": AS_THE_ORACLE, "over_forgetting": LESS},
        "random": {"over_forgetting": MORE, "probes": CANNOT_TELL},
        "another-seed": {"prompt_leaks": AS_THE_ORACLE, "probes": CANNOT_TELL},
        "forgetting-alone": {"over_forgetting": MORE, "probes": LESS},
    }
    assert KnownAnswers(good).right
    assert "right about all" in KnownAnswers(good).text()
    for model, test, wrong in (
        ("itself", "relearning", CANNOT_TELL),  # it has the power to see that one
        ("itself", "probes", MORE),
        ("random", "probes", LESS),
        ("another-seed", "probes", LESS),
        ("another-seed", "probes", MORE),
        ("forgetting-alone", "over_forgetting", AS_THE_ORACLE),
        ("forgetting-alone", "relearning", LESS),
    ):
        bad = KnownAnswers({**good, model: {**good[model], test: wrong}})
        assert not bad.right, (model, test, wrong)
        (line,) = [line for line in bad.text().splitlines() if "WRONG:" in line]
        assert TESTS[test].title in line
        assert wrong in line


def test_every_known_answer_is_of_a_test_that_runs():
    asked = {name for name, test in TESTS.items() if not test.opt_in}
    for known in KNOWN.values():
        assert set(known.tests) <= asked
        assert set(known.open) <= asked - set(known.tests)
