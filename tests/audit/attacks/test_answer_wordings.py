"""The same pictures, asked about in other words."""

from __future__ import annotations

import numpy as np

from erasekit.audit.attacks import answer_wordings as module
from erasekit.data.drawn.questions import VISUAL


def test_a_wording_asks_the_same_pictures_in_other_words(tiny_mllm, monkeypatch):
    asked = []

    def note(mllm, questions):
        asked.append(questions)
        return {"accuracy": np.zeros(len(questions))}

    monkeypatch.setattr(module, "score_answers", note)
    list(module.wordings(tiny_mllm.original, tiny_mllm.task, "test", 0))
    assert [{q.text for q in one} for one in asked] == [{p} for p in VISUAL["name"]]
    pictures = [[(q.image, q.answer) for q in one] for one in asked]
    assert all(one == pictures[0] for one in pictures)
