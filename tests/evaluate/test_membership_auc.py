"""Membership AUC is the share of pairs told apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasekit.evaluate.membership_auc import membership_auc, pair_similarity

SCORES = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(members=SCORES, others=SCORES)
def test_it_counts_pairs(members: list[float], others: list[float]) -> None:
    won = sum((a > b) + 0.5 * (a == b) for a in members for b in others)
    expected = won / (len(members) * len(others))
    assert membership_auc(np.array(members), np.array(others)) == pytest.approx(expected)


def test_the_score_is_the_similarity_of_picture_and_caption(tiny_experiment) -> None:
    clip = tiny_experiment.original
    pairs = tiny_experiment.world.pairs("test").take([0, 30, 200])
    image, text = clip.encode_images(pairs.images), clip.encode_texts(pairs.captions)
    expected = [float(a @ b) for a, b in zip(image, text, strict=True)]
    assert pair_similarity(clip, pairs).tolist() == pytest.approx(expected, abs=1e-6)
