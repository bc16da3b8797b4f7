"""A few questions, for tests of how a model reads and answers them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def some_questions(tiny_mllm):
    """Six visual and four text questions."""
    task = tiny_mllm.task
    from erasekit.data.questions import Questions

    return Questions(task.visual.items[:6] + task.text.items[:4], task.visual.images)
