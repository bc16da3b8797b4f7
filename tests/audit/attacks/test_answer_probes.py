"""What a linear classifier reads inside a language model."""

from __future__ import annotations

import numpy as np

from erasekit.audit.attacks import answer_probes as module


def test_a_probe_reads_what_is_there(tiny_mllm, monkeypatch):
    """Features that hold the name are read without a fault, empty ones by chance alone."""
    task = tiny_mllm.task
    names = sorted({q.about[0] for q in task.visual if q.kind == "name"})

    def held(mllm, questions, place):
        knows = place == "tower"
        codes = np.array([names.index(q.about[0]) for q in questions])
        return np.eye(len(names))[codes] if knows else np.zeros((len(codes), 3))

    monkeypatch.setattr(module, "_held", held)
    found = {a.condition: a.scores for a in module.probes(None, task, "test", 0)}
    assert found["tower"].mean() == 1
    assert found["language model"].mean() <= 1 / len(task.forgotten)
