"""The audit of a language model: what its tests ask, of whom, and what comes out."""

from __future__ import annotations

import numpy as np
import pytest

from erasekit.audit.attack_registry import attacks_of
from erasekit.audit.attacks import answer_relearning
from erasekit.audit.attacks.answer_probes import probes
from erasekit.audit.attacks.answer_relearning import relearning
from erasekit.audit.attacks.answer_wordings import wordings
from erasekit.audit.audit_result import Audit
from erasekit.audit.judging import MEAN
from erasekit.audit.verdict import CANNOT_TELL
from erasekit.data.drawn.questions import VISUAL
from erasekit.errors import UsageError
from erasekit.testing.attack_contract import check_attack

TESTS = ("answer_wordings", "answer_probes", "answer_relearning")
SHORT = TESTS[:2]


@pytest.fixture(scope="module", autouse=True)
def relearning_is_short():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answer_relearning, "CHECKPOINTS", (1, 2))
        yield


@pytest.fixture(scope="module")
def audit(tiny_mllm) -> Audit:
    """Of the original itself, with an oracle."""
    return tiny_mllm.audit(tiny_mllm.original, oracles=1)


def test_every_test_is_asked_of_every_model(audit: Audit):
    assert tuple(audit.verdicts) == TESTS
    asked = {
        *(("answer_wordings", "named", wording) for wording in (*VISUAL["name"], MEAN)),
        *(("answer_probes", metric, "") for metric in ("tower", "language model")),
        *(("answer_relearning", metric, "") for metric in ("area", "after")),
    }
    for model in ("original", "erased", "oracle"):
        rows = [row for row in audit.rows if row.model == model]
        assert {(row.test, row.metric, row.condition) for row in rows} == asked
        assert all(row.low <= row.value <= row.high for row in rows)


def test_only_forgotten_things_are_asked_about(tiny_mllm):
    task = tiny_mllm.task
    for ask in (wordings, probes, relearning):
        for answered in ask(tiny_mllm.original, task, "test", 0):
            assert set(answered.about) == set(task.forgotten)
            assert len(answered.scores) == len(answered.about)
            assert set(np.unique(answered.scores)) <= {0, 1} or answered.condition == "area"


@pytest.mark.parametrize("name", SHORT)
def test_a_test_keeps_the_contract(name: str):
    check_attack(attacks_of("language")[name])


def test_verdicts_need_several_oracles(tiny_mllm, audit: Audit, tmp_path):
    assert set(audit.verdicts.values()) == {CANNOT_TELL}, "one oracle shows no spread"
    alone = tiny_mllm.audit(tiny_mllm.oracle, tests=SHORT, oracles=0)
    assert alone.reference == "original" and set(alone.verdicts.values()) == {CANNOT_TELL}
    judged = tiny_mllm.audit(tiny_mllm.oracle, tests=SHORT, oracles=2)
    assert judged.reference == "oracle" and [o["seed"] for o in judged.oracles] == [0, 1]
    assert len({judged.models[name] for name in ("original", "oracle", "oracle-1")}) == 3
    assert all(row.margin for row in judged.rows if row.model == "erased")
    again = Audit.load(judged.save(tmp_path / "audit.json"))
    assert again.verdicts == judged.verdicts
    same = {(r.test, r.metric, r.condition): r.value for r in audit.rows if r.model == "original"}
    for row in judged.rows:
        if row.model == "original":
            assert row.value == same[row.test, row.metric, row.condition], "it repeats"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tests": ["answer_prob"]}, "did you mean 'answer_probes'"),
        ({"tests": ["relearning"]}, "relearning is a test of kind = clip: .*answer_relearning"),
        ({"shadows": 2}, "lira is a test of kind = clip"),
    ],
)
def test_a_test_of_another_kind_is_misuse(tiny_mllm, given: dict, words: str):
    with pytest.raises(UsageError, match=words):
        tiny_mllm.audit(tiny_mllm.original, oracles=0, **given)
