"""Masks from gradients, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from erasekit.errors import RunError, UsageError
from erasekit.unlearn.look import Look
from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.pair_batches import PairBatches
from erasekit.unlearn.saliency import largest_layers, largest_weights, layers, ratio_mask


def gradients(seed: int) -> dict[str, torch.Tensor]:
    """Three parameters of 12 weights in all, no two of one size, some below zero."""
    rng = np.random.default_rng(seed)
    values = rng.permutation(np.arange(1, 13)) * rng.choice([-1.0, 1.0], 12)
    a, b, c = np.split(values, [6, 8])
    parts = {"a": a.reshape(2, 3), "b": b, "c": c.reshape(4, 1)}
    return {name: torch.from_numpy(part) for name, part in parts.items()}


def flat(parts: dict[str, torch.Tensor]) -> np.ndarray:
    return np.concatenate([part.numpy().ravel() for part in parts.values()])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 99), count=st.integers(0, 12))
def test_the_share_with_the_largest_gradient_may_move(seed: int, count: int) -> None:
    gradient = gradients(seed)
    mask = largest_weights(gradient, count / 12)
    assert {k: v.shape for k, v in mask.items()} == {k: v.shape for k, v in gradient.items()}
    assert all(v.dtype == torch.bool for v in mask.values())
    # The sizes are 1 to 12, over all parameters together.
    assert flat(mask).tolist() == (np.abs(flat(gradient)) > 12 - count).tolist()


def test_half_is_at_least_the_median() -> None:
    gradient = gradients(3)
    sizes = np.abs(flat(gradient))
    mask = flat(largest_weights(gradient, 0.5))
    assert mask.tolist() == (sizes >= np.median(sizes)).tolist()


def test_a_weight_without_gradient_never_moves() -> None:
    gradient = {"a": torch.tensor([0.0, 0.0, 0.0, 0.0, -2.0, 1.0])}
    for share in (0.5, 1.0):  # the median of it is 0, which every weight reaches
        assert largest_weights(gradient, share)["a"].tolist() == [False] * 4 + [True] * 2


def test_layers_are_matrices_and_kernels() -> None:
    tensors = {
        "logit_scale": torch.ones(()),
        "bias": torch.ones(3),
        "token_embedding.weight": torch.ones(5, 3),
        "conv": torch.ones(2, 3, 1, 1),
        "projection": torch.ones(3, 3),
    }
    assert layers(tensors) == ["conv", "projection"]


def test_the_layers_with_the_largest_mean_gradient_move_whole() -> None:
    gradient = {
        "large but many": torch.tensor([[9.0, 0.0, 0.0, 0.0]]),
        "small": torch.tensor([[-3.0, 3.0]]),
        "smallest": torch.tensor([[1.0], [1.0]]),
        "bias": torch.tensor([100.0]),
    }
    one = largest_layers(gradient, 1)
    assert list(one) == ["small"] and one["small"].all()
    assert list(largest_layers(gradient, 2)) == ["small", "large but many"]
    assert len(largest_layers(gradient, 9)) == 3
    assert largest_layers(gradient, 0) == {}


@settings(max_examples=40, deadline=None)
@given(
    pairs=st.lists(
        st.tuples(st.floats(0, 2**-10, width=32), st.floats(0, 2**-10, width=32)), min_size=1
    ),
    threshold=st.floats(0.1, 10),
)
def test_the_ratio_of_importances_is_taken_weight_by_weight(pairs, threshold: float) -> None:
    forget, preserve = (torch.tensor(side) for side in zip(*pairs, strict=True))
    mask = ratio_mask({"a": forget}, {"a": preserve}, threshold)["a"]
    assert mask.tolist() == [(f + 1e-15) / (p + 1e-15) >= threshold for f, p in pairs]


@pytest.mark.parametrize(("threshold", "moves"), [(1.0, True), (1.01, False)])
def test_what_matters_to_neither_has_a_ratio_of_one(threshold: float, moves: bool) -> None:
    nothing = {"a": torch.zeros(2)}
    assert ratio_mask(nothing, nothing, threshold)["a"].tolist() == [moves] * 2


@pytest.mark.parametrize("method", ["cliperase", "salun"])
def test_a_clip_s_mask_holds_what_matters_more_to_what_stays(tiny_experiment, method: str) -> None:
    """MMUnlearner's mask on a CLIP, against the ratio of squared gradients taken batch by batch."""
    e = tiny_experiment
    look = Look(PairBatches(e.original, e.task, e.method, e.erase_spec))
    forget, retain = (look.squared_gradient(part, contrastive) for part in ("forget", "retain"))
    erased = e.erase(method, salient=2.0).model
    moved = 0
    for name, weight in erased.model.named_parameters():
        ratio = (forget[name].double() + 1e-15) / (retain[name].double() + 1e-15)
        changed = weight != look.original[name]
        assert not (changed & (ratio < 2)).any(), name
        moved += int(changed.sum())
    assert moved > 0


def test_a_clip_s_mask_that_lets_nothing_move_is_an_error(tiny_experiment) -> None:
    with pytest.raises(RunError, match="lets no weight move"):
        tiny_experiment.erase("cliperase", salient=1e30)
    with pytest.raises(UsageError, match="takes no steps"):
        tiny_experiment.erase("null_space", salient=1.0)
    with pytest.raises(UsageError, match="must be 0"):
        tiny_experiment.erase("cliperase", salient=-1.0)
