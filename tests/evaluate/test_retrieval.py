"""Retrieval against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import unit

from erasekit.evaluate.retrieval import neighbourhood_kept, ranks, recall


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 25), seed=st.integers(0, 99))
def test_recall_is_brute_force(n: int, seed: int) -> None:
    image, text = unit(n, 5, seed), unit(n, 5, seed + 200)
    found = recall(image, text)
    similarity = image.numpy() @ text.numpy().T
    for direction, table in (("image_to_text", similarity), ("text_to_image", similarity.T)):
        for k in (1, 5, 10):
            expected = [i in np.argsort(-row, kind="stable")[:k] for i, row in enumerate(table)]
            assert found[direction, k].tolist() == [float(hit) for hit in expected]
    assert set(found) == {(d, k) for d in ("image_to_text", "text_to_image") for k in (1, 5, 10)}


def test_ranks_of_a_known_case() -> None:
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    items = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])
    assert ranks(queries, items).tolist() == [0, 0, 1]
    # From the items' side the second row of queries is as near to its own as can be.
    assert ranks(items, queries).tolist() == [1, 0, 1]


def test_ties_count_against_a_collapsed_model() -> None:
    same = torch.ones(8, 3) / 3**0.5
    assert ranks(same, same).tolist() == [7] * 8
    assert all(hit.sum() == 0 for (_, k), hit in recall(same, same).items() if k < 8)


def test_features_that_are_no_numbers_find_nothing() -> None:
    broken = torch.full((12, 3), float("nan"))
    assert all(hit.sum() == 0 for hit in recall(broken, unit(12, 3, 0).float()).values())


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 20), k=st.integers(1, 12), seed=st.integers(0, 99))
def test_the_kept_neighbourhood_is_brute_force(n: int, k: int, seed: int) -> None:
    before, after = unit(n, 4, seed), unit(n, 4, seed + 300)
    size = min(k, n - 1)

    def nearest(features: np.ndarray, i: int) -> set[int]:
        others = [j for j in range(n) if j != i]
        return set(sorted(others, key=lambda j: -float(features[i] @ features[j]))[:size])

    expected = [
        len(nearest(before.numpy(), i) & nearest(after.numpy(), i)) / size for i in range(n)
    ]
    assert neighbourhood_kept(before, after, k) == pytest.approx(expected)
    assert neighbourhood_kept(before, before, k).tolist() == [1.0] * n


def test_a_turn_of_all_features_keeps_every_neighbourhood() -> None:
    before = unit(15, 4, 1)
    turn, _ = torch.linalg.qr(unit(4, 4, 2))
    assert neighbourhood_kept(before, before @ turn).tolist() == [1.0] * 15
