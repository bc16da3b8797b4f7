"""Every registered test is complete, and all promise the same of their measures."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support import fingerprint

from erasekit.audit.attack_registry import (
    TESTS,
    attacks_of,
    check_names,
    choose_tests,
    untried,
)
from erasekit.audit.base import AuditTest, Measure
from erasekit.errors import UsageError


def test_names_are_the_registrys_and_each_test_is_complete():
    assert " ".join(TESTS) == (
        "prompt_leaks language_leaks composition_leaks domain_shift compression relearning "
        "probes one_picture realignment membership lira over_forgetting downstream picture_leaks "
        "answer_wordings answer_probes answer_relearning"
    )
    for name, test in TESTS.items():
        assert test.name == name
        assert test.title
        assert test.question.endswith("?")
        assert test.source
        assert test.metrics
    assert [test.name for test in TESTS.values() if test.opt_in] == ["lira"]


def test_a_misspelt_test_is_named_with_the_nearest():
    assert check_names(["probes", "probes"]) == ("probes",)
    with pytest.raises(UsageError, match="relearning"):
        check_names(["relerning"])


#: Options under which a test is quick, of those that measure every model by every metric.
QUICK: dict[str, dict] = {
    "prompt_leaks": {},
    "language_leaks": {},
    "composition_leaks": {},
    "domain_shift": {},
    "over_forgetting": {},
    "compression": {},
    "probes": {"pictures": 3},
    "membership": {},
    "relearning": {"pairs": (1, 2), "checkpoints": (1, 2), "repeats": 1, "retain_batch": 5},
}
DRAWS = 20


@pytest.fixture(params=QUICK)
def audit_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AuditTest:
    # The tiny models know nothing: without this, no language would be asked about.
    monkeypatch.setattr("erasekit.audit.attacks.language_leaks.KNOWN", 0.0)
    test = TESTS[request.param]
    return replace(test, run=partial(test.run, **QUICK[request.param]))


def numbers(measures: list[Measure]) -> list[tuple]:
    return [
        (m.metric, m.condition, m.estimate.value, m.estimate.n, m.estimate.replicates.tolist())
        for m in measures
    ]


def test_every_measure_is_made_of_every_model_on_the_same_pictures(
    audit_test, models, tiny_experiment
):
    result = audit_test.run(models, tiny_experiment.task, draws=DRAWS)
    declared = {metric.name: metric for metric in audit_test.metrics}
    # The tiny original only guesses when it is compressed, so that similarities are left out.
    left_out = {"similarity"} if audit_test.name == "compression" else set()
    assert {m.metric for m in result.measures} == set(declared) - left_out
    kinds = {(m.metric, m.condition) for m in result.measures}
    assert len(result.measures) == len(kinds) * len(models)
    for kind in kinds:
        of = {m.model: m for m in result.measures if (m.metric, m.condition) == kind}
        assert list(of) == list(models)
        assert len({m.estimate.n for m in of.values()}) == 1
        assert len({m.chance for m in of.values()}) == 1
    for m in result.measures:
        metric = declared[m.metric]
        low = -1 if metric.unit == "cosine" else 0
        assert low - 1e-6 <= m.estimate.value <= 1 + 1e-6
        assert m.estimate.replicates.shape == (DRAWS,)
        assert np.isfinite(m.estimate.replicates).all()
        assert not metric.if_original_knows or 0 < m.chance < 1
    assert json.loads(json.dumps(result.details)) == result.details
    assert len(result.details) > 0


def test_equal_models_give_equal_measures(audit_test, models, tiny_experiment):
    pair = {"original": models["original"], "erased": models["original"].copy()}
    result = audit_test.run(pair, tiny_experiment.task, draws=DRAWS)
    of = {name: [m for m in result.measures if m.model == name] for name in pair}
    assert numbers(of["original"]) == numbers(of["erased"]) != []


def test_a_second_run_is_the_same_and_no_model_is_changed(audit_test, models, tiny_experiment):
    before = {name: fingerprint(clip.model) for name, clip in models.items()}
    first, second = (
        audit_test.run(models, tiny_experiment.task, draws=DRAWS, seed=3) for _ in range(2)
    )
    assert numbers(first.measures) == numbers(second.measures)
    assert (first.details, first.notes) == (second.details, second.notes)
    assert {name: fingerprint(clip.model) for name, clip in models.items()} == before
    assert not any(clip.model.training for clip in models.values())
    assert not any(p.requires_grad for clip in models.values() for p in clip.model.parameters())
    if audit_test.name != "language_leaks":  # all its values are 0 or 1 here, in every draw
        other = audit_test.run(models, tiny_experiment.task, draws=DRAWS, seed=4)
        assert numbers(other.measures) != numbers(first.measures)


def test_a_models_numbers_do_not_depend_on_which_others_are_there(
    audit_test, models, tiny_experiment
):
    whole = audit_test.run(models, tiny_experiment.task, draws=DRAWS)
    alone = audit_test.run({"original": models["original"]}, tiny_experiment.task, draws=DRAWS)
    assert alone.measures
    beside = numbers([m for m in whole.measures if m.model == "original"])
    # Without a model under audit, nobody can have lost most.
    assert numbers(alone.measures) == [n for n in beside if n[0] != "collateral_top1"]


def test_the_split_is_the_one_asked_for(audit_test, models, tiny_experiment):
    pair = {"original": models["original"]}
    on_test, on_validation = (
        audit_test.run(pair, tiny_experiment.task, split=split, draws=DRAWS)
        for split in ("test", "validation")
    )
    assert numbers(on_test.measures) != numbers(on_validation.measures)
    with pytest.raises(UsageError, match="unknown split 'trian'"):
        audit_test.run(pair, tiny_experiment.task, split="trian", draws=DRAWS)


def test_a_request_for_pictures_has_tests_of_its_own():
    assert choose_tests("clip", requests="pictures") == ["picture_leaks"]
    assert "picture_leaks" not in choose_tests("clip")
    with pytest.raises(UsageError, match="picture_leaks needs a request for single pictures"):
        choose_tests("clip", ["picture_leaks"])
    with pytest.raises(UsageError, match=r"probes needs names.*: choose from picture_leaks"):
        choose_tests("clip", ["probes"], requests="pictures")


def test_untried_are_the_tests_of_the_same_kind_and_request():
    of_names = {test.name for test in untried("clip", ["probes"])}
    assert of_names == set(attacks_of("clip", "named")) - {"probes"}
    assert untried("clip", ["picture_leaks"]) == []
    assert {test.name for test in untried("clip", [])} == set(attacks_of("clip"))
