"""Zero-shot: hits by hand, prompts averaged as said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from support import unit

from erasekit.data.drawn.captions import prompts
from erasekit.models.zero_shot import concept_features, hits, text_features


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 12), c=st.integers(1, 8), k=st.integers(1, 10), seed=st.integers(0, 99))
def test_a_hit_is_among_the_k_nearest(n: int, c: int, k: int, seed: int) -> None:
    image, candidates = unit(n, 6, seed), unit(c, 6, seed + 500)
    labels = np.random.default_rng(seed).integers(0, c, n)
    similarity = image.numpy() @ candidates.numpy().T
    expected = [
        float(label in sorted(range(c), key=lambda j: -row[j])[:k])
        for row, label in zip(similarity, labels, strict=True)
    ]
    assert hits(image, candidates, labels.tolist(), k).tolist() == expected


def test_the_right_name_is_nearest_to_itself() -> None:
    candidates = unit(5, 4, 0)
    assert hits(candidates[[3, 1]], candidates, [3, 1]).tolist() == [1, 1]
    assert hits(candidates[[3, 1]], candidates, [1, 3]).tolist() == [0, 0]


@pytest.mark.parametrize("language", ["en", "ja", "ko"])
def test_a_concept_is_the_mean_of_its_prompts(tiny_experiment, language: str) -> None:
    clip, concepts = tiny_experiment.original, tiny_experiment.world.concepts
    found = concept_features(clip, concepts, language)
    mean = torch.stack([clip.encode_texts(prompts(c, language)).mean(0) for c in concepts])
    torch.testing.assert_close(found, F.normalize(mean, dim=1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(concepts)))


def test_a_feature_is_the_normalised_mean_of_its_texts(tiny_experiment):
    clip = tiny_experiment.original
    groups = [["a red apple", "a banana", "grapes"], ["a parrot"]]
    found = text_features(clip, groups).numpy()
    for row, texts in zip(found, groups, strict=True):
        mean = clip.encode_texts(texts).numpy().mean(0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-6)
