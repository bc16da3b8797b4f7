"""The contrastive loss against open_clip's own and against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.loss import ClipLoss
from support import unit

from erasekit.models.contrastive import info_nce


def by_hand(image: np.ndarray, text: np.ndarray, scale: float) -> float:
    total = 0.0
    for rows, columns in ((image, text), (text, image)):
        for i, row in enumerate(rows):
            weights = [math.exp(scale * float(row @ column)) for column in columns]
            total -= math.log(weights[i] / sum(weights))
    return total / (2 * len(image))


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 9), d=st.integers(1, 6), seed=st.integers(0, 99), scale=st.floats(0, 30))
def test_it_is_the_mean_of_two_cross_entropies(n: int, d: int, seed: int, scale: float) -> None:
    image, text = unit(n, d, seed), unit(n, d, seed + 1000)
    expected = by_hand(image.numpy(), text.numpy(), scale)
    assert float(info_nce(image, text, scale)) == pytest.approx(expected, abs=1e-9)


def test_it_agrees_with_open_clip() -> None:
    image, text = unit(12, 8, 0).float(), unit(12, 8, 1).float()
    scale = torch.tensor(14.3)
    assert float(info_nce(image, text, scale)) == pytest.approx(
        float(ClipLoss()(image, text, scale)), rel=1e-5
    )


def test_a_collapsed_model_guesses() -> None:
    same = unit(1, 5, 0).expand(7, 5)
    assert float(info_nce(same, same, 50.0)) == pytest.approx(math.log(7))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), n=st.integers(1, 9), seed=st.integers(0, 99), scale=st.floats(0, 30))
def test_with_several_positives_it_is_the_mean_of_theirs(
    data: st.DataObject, n: int, seed: int, scale: float
) -> None:
    image, text = unit(n, 5, seed), unit(n, 5, seed + 1000)
    groups = torch.tensor(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    alike = groups.view(-1, 1) == groups
    total = 0.0
    for rows, columns in ((image, text), (text, image)):
        chances = (scale * rows @ columns.T).log_softmax(1)
        total -= sum(float(chances[i][alike[i]].mean()) for i in range(n))
    assert float(info_nce(image, text, scale, alike)) == pytest.approx(total / (2 * n), abs=1e-9)
    alone = torch.eye(n, dtype=torch.bool)
    assert float(info_nce(image, text, scale, alone)) == pytest.approx(
        float(info_nce(image, text, scale)), abs=1e-9
    )
