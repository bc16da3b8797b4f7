"""What the original says of a pair is computed once, and counts as a part of the cost."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter

import numpy as np
import pytest
import torch
from support_engine import SPEC, run

from erasekit.models.clip import Clip
from erasekit.unlearn.encode import FrozenFeatures
from erasekit.unlearn.engine import erase
from erasekit.unlearn.methods.cliperase import CLIPErase
from erasekit.unlearn.registry import get_method


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """How many pictures each model encoded, by the identity of its weights."""
    counted: Counter = Counter()
    real = Clip.encode_images

    def counting(self: Clip, images, *rest, **named):
        counted[id(self.model)] += len(images)
        return real(self, images, *rest, **named)

    monkeypatch.setattr(Clip, "encode_images", counting)
    return counted


def test_frozen_features_are_computed_once(tiny_experiment, encoded: Counter) -> None:
    clip, pairs = tiny_experiment.original, tiny_experiment.task.retain
    frozen = FrozenFeatures(clip, pairs)
    frozen.require(np.array([[0, 3], [3, 5]]))
    assert encoded[id(clip.model)] == 3
    image, text = frozen.at(np.array([5, 0, 7]))
    assert encoded[id(clip.model)] == 4
    frozen.at(np.array([0, 3, 5, 7]))
    assert encoded[id(clip.model)] == 4
    part = pairs.take([5, 0, 7])
    torch.testing.assert_close(image, clip.encode_images(part.images), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(text, clip.encode_texts(part.captions), atol=1e-5, rtol=1e-4)


def test_erasures_share_what_the_original_says(tiny_experiment, encoded: Counter) -> None:
    original = tiny_experiment.original
    frozen = FrozenFeatures(original, tiny_experiment.task.retain)
    run(tiny_experiment, frozen=frozen)
    once = encoded[id(original.model)]
    assert 0 < once <= len(tiny_experiment.task.retain)
    run(tiny_experiment, CLIPErase(forgetting=1), frozen=frozen)
    assert encoded[id(original.model)] == once


def test_a_method_without_the_original_does_not_run_it(tiny_experiment, encoded: Counter) -> None:
    run(tiny_experiment, get_method("fine_tune").build({}))
    assert encoded[id(tiny_experiment.original.model)] == 0


def test_the_cost_counts_what_is_computed_before_the_first_step(tiny_experiment, monkeypatch):
    e = tiny_experiment

    class Slow(FrozenFeatures):
        def require(self, indices):
            time.sleep(0.3)
            super().require(indices)

    method = get_method("kl_minimization").build({})
    spec = dataclasses.replace(SPEC, steps=1)
    slow = Slow(e.original, e.task.retain)
    erasure = erase(e.original, e.task, method, spec, frozen=slow, progress=False)
    assert erasure.seconds >= 0.6  # once before the first step, once in it
