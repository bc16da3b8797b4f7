"""Exercises wait politely, confirm what is right, and never confirm what is wrong."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pandas as pd
import pytest

from erasekit.audit.verdict import LESS
from erasekit.tutorial.single_exercises import SINGLE_EXERCISES, Exercise

#: Average gaps of two methods on two tasks.
GAPS = pd.DataFrame(
    {"one": [7.0, 9.0], "two": [5.0, 1.0], "mean": [6.0, 5.0]}, index=["cliperase", "npo"]
)


#: Points lost by kind of question.
CHANGES = pd.DataFrame({"erased": [-3.0, -9.0, 0.0]}, index=["name", "left", "how many"])


#: Points of two models on what one of two data sets was to forget.
OURS = pd.Series(
    {
        ("cc12m", "original", "forget"): 50.0,
        ("cc12m", "control", "forget"): 49.0,
        ("cifar100", "original", "forget"): 80.0,
        ("cifar100", "control", "forget"): 71.5,
    }
)


#: An erasure that moves no answer in words; the notebook itself runs the real one.
PROJECTOR_ALONE = {
    "tables": SimpleNamespace(changed=lambda one, other, asked: 100.0 * (one != other)),
    "e": SimpleNamespace(
        original="the words",
        erase=lambda method, moves, steps: SimpleNamespace(model="the words"),
        task=SimpleNamespace(text=pd.Series(range(60))),
    ),
}


def facts(name: str, e, erasure, card) -> tuple[dict, dict]:
    """What a notebook hands to its exercise, and the names its solution works with."""
    from erasekit.models.zero_shot import concept_features

    concepts = [e.world.concept(i) for i in e.world.trained]
    before = concept_features(e.original, concepts)
    return {
        "07_embedding_shift": (
            {"before": e.original, "after": erasure.model, "world": e.world},
            {
                "before": before,
                "after": concept_features(erasure.model, concepts),
                "concepts": concepts,
            },
        ),
        # The tiny world learns nothing that could leak; the notebook itself runs the real one.
        "08_is_it_gone": (
            {},
            {
                "e": SimpleNamespace(
                    erase=lambda steps: SimpleNamespace(model=steps),
                    audit=lambda model, tests: SimpleNamespace(verdicts={tests[0]: LESS}),
                )
            },
        ),
        "09_methods": (
            {"gaps": GAPS},
            {"summary": SimpleNamespace(gap_table=lambda found: found), "found": GAPS},
        ),
        "10_our_method": ({"level": 0.2, "scenes": 0.8}, {"level": 0.2, "scenes": 0.8}),
        "11_multimodal_llm": ({}, PROJECTOR_ALONE),
        "12_downstream": ({"changes": CHANGES}, {"changes": CHANGES}),
        "14_reproduce_cliperase": ({"ours": OURS}, {"ours": OURS}),
    }[name]


@pytest.fixture(params=sorted(SINGLE_EXERCISES))
def exercise(request, tiny_experiment, tiny_erasure, tiny_scorecard):
    given, names = facts(request.param, tiny_experiment, tiny_erasure, tiny_scorecard)
    return SINGLE_EXERCISES[request.param], given, names


def test_without_an_answer_it_waits_with_a_hint(exercise):
    each, given, _ = exercise
    verdict = each.judge(None, **given)
    assert verdict.status == "waiting"
    assert each.hint in verdict.text


def test_the_solution_is_right(exercise):
    each, given, names = exercise
    verdict = each.judge(each.solve(names), **given)
    assert verdict.status == "right"
    assert each.because in verdict.text


def test_wrong_answers_are_told_wrong(exercise):
    each, given, _ = exercise
    truth = each.truth(**given)
    wrong = ["a unicorn", math.nan, object()]
    wrong += (
        ["the " + truth]
        if isinstance(truth, str)
        else [truth + 2 * each.within + 1, str(truth) + "x"]
    )
    for answer in wrong:
        verdict = each.judge(answer, **given)
        assert verdict.status == "wrong", answer
        assert each.hint in verdict.text
        assert each.because not in verdict.text


def test_names_may_be_written_in_any_case():
    each = Exercise("hint", "1", lambda: "Red Apple", "because")
    assert each.judge(" red apple ").status == "right"
