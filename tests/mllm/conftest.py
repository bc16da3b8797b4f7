"""A LLaVA that learns nothing, on a CLIP that learns nothing: quick to make, and whole."""

from __future__ import annotations

import pytest

from erasekit.mllm.engine import MllmSpec
from erasekit.mllm.experiment import MllmExperiment
from erasekit.models.llava_spec import LlavaSpec


@pytest.fixture(scope="session")
def tiny_mllm(tiny_experiment) -> MllmExperiment:
    return MllmExperiment(
        tiny_experiment,
        LlavaSpec(width=32, layers=1, heads=4, steps=3, visual_batch=8, text_batch=4),
        MllmSpec(steps=4, forget_batch=4, retain_batch=6, text_batch=4, learning_rate=1e-3),
    )


@pytest.fixture(scope="session")
def some_questions(tiny_mllm):
    """Six visual and four text questions."""
    task = tiny_mllm.task
    from erasekit.data.questions import Questions

    return Questions(task.visual.items[:6] + task.text.items[:4], task.visual.images)
