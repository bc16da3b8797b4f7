"""A language model learns a forgotten thing again."""

from __future__ import annotations

import numpy as np

from erasekit.audit.attacks import answer_relearning as module
from erasekit.audit.attacks.answer_relearning import CHECKPOINTS


def test_relearning_learns_in_a_copy(tiny_mllm, monkeypatch):
    monkeypatch.setattr(module, "LEARNING_RATE", 3e-3)
    before = tiny_mllm.original.fingerprint()
    asked = []

    def score(mllm, questions):
        likelihood, _ = mllm.log_likelihood(mllm.encode(questions))
        asked.append(likelihood.mean().item())
        return {"accuracy": np.full(len(questions), float(len(asked)))}

    monkeypatch.setattr(module, "score_answers", score)
    found = module.relearning(tiny_mllm.original, tiny_mllm.task, "test", 0)
    scores = {answered.condition: set(answered.scores) for answered in found}
    assert scores == {"area": {3}, "after": {5}}, "the mean of 1 to 5, and the last of them"
    assert tiny_mllm.original.fingerprint() == before
    assert len(asked) == 1 + len(CHECKPOINTS) and asked[-1] > asked[0]
