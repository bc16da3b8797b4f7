"""The referee's questions to a multimodal language model: what they ask, and of whom."""

from __future__ import annotations

import numpy as np
import pytest

from erasekit.audit import answer_attacks as audit
from erasekit.audit.answer_attacks import CHECKPOINTS, TESTS, audit_mllm
from erasekit.data.drawn.questions import VISUAL
from erasekit.errors import UsageError


@pytest.fixture(scope="module")
def table(tiny_mllm):
    models = {"original": tiny_mllm.original, "oracle": tiny_mllm.oracle}
    return audit_mllm(tiny_mllm.task, models, draws=50, progress=False)


def test_every_test_is_asked_of_every_model(table):
    assert set(table["test"]) == set(TESTS)
    for _, rows in table.groupby("model"):
        conditions = rows.groupby("test")["condition"].apply(list).to_dict()
        assert conditions == {
            "paraphrase": list(VISUAL["name"]),
            "probe": ["tower", "language model"],
            "relearning": ["area", "after"],
        }
    assert (table["low"] <= table["value"]).all() and (table["value"] <= table["high"]).all()


def test_only_forgotten_things_are_asked_about(tiny_mllm):
    task = tiny_mllm.task
    for test in TESTS.values():
        for answered in test(tiny_mllm.original, task, "test", 0):
            assert set(answered.about) == set(task.forgotten)
            assert len(answered.scores) == len(answered.about)
            assert set(np.unique(answered.scores)) <= {0, 1} or answered.condition == "area"


def test_a_paraphrase_asks_the_same_pictures_in_other_words(tiny_mllm, monkeypatch):
    asked = []

    def note(mllm, questions):
        asked.append(questions)
        return {"exact_match": np.zeros(len(questions))}

    monkeypatch.setattr(audit, "score_answers", note)
    list(audit.paraphrase(tiny_mllm.original, tiny_mllm.task, "test", 0))
    assert [{q.text for q in one} for one in asked] == [{p} for p in VISUAL["name"]]
    pictures = [[(q.image, q.answer) for q in one] for one in asked]
    assert all(one == pictures[0] for one in pictures)


def test_a_probe_reads_what_is_there(tiny_mllm, monkeypatch):
    """Features that hold the name are read without a fault, empty ones by chance alone."""
    task = tiny_mllm.task
    names = sorted({q.about[0] for q in task.visual if q.kind == "name"})

    def held(mllm, questions, place):
        knows = place == "tower"
        codes = np.array([names.index(q.about[0]) for q in questions])
        return np.eye(len(names))[codes] if knows else np.zeros((len(codes), 3))

    monkeypatch.setattr(audit, "_held", held)
    found = {a.condition: a.scores for a in audit.probe(None, task, "test", 0)}
    assert found["tower"].mean() == 1
    assert found["language model"].mean() <= 1 / len(task.forgotten)


def test_relearning_learns_in_a_copy(tiny_mllm, monkeypatch):
    monkeypatch.setattr(audit, "LEARNING_RATE", 3e-3)
    before = tiny_mllm.original.fingerprint()
    asked = []

    def score(mllm, questions):
        likelihood, _ = mllm.log_likelihood(mllm.encode(questions))
        asked.append(likelihood.mean().item())
        return {"exact_match": np.full(len(questions), float(len(asked)))}

    monkeypatch.setattr(audit, "score_answers", score)
    found = audit.relearning(tiny_mllm.original, tiny_mllm.task, "test", 0)
    scores = {answered.condition: set(answered.scores) for answered in found}
    assert scores == {"area": {3}, "after": {5}}, "the mean of 1 to 5, and the last of them"
    assert tiny_mllm.original.fingerprint() == before
    assert len(asked) == 1 + len(CHECKPOINTS) and asked[-1] > asked[0]


def test_an_audit_repeats(tiny_mllm, table):
    models = {"original": tiny_mllm.original, "oracle": tiny_mllm.oracle}
    again = audit_mllm(tiny_mllm.task, models, draws=50, progress=False)
    assert again.equals(table)


def test_an_unknown_test_is_misuse(tiny_mllm):
    with pytest.raises(UsageError, match="did you mean 'probe'"):
        audit_mllm(tiny_mllm.task, {}, tests=["prob"])
