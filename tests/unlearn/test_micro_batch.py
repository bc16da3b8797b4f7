"""A batch encoded in pieces: the whole batch's gradient, in the memory of a piece."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import build
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from erasekit.errors import UsageError
from erasekit.models.contrastive import info_nce
from erasekit.unlearn.encode import encode, features_of
from erasekit.unlearn.engine import EraseSpec, erase
from erasekit.unlearn.look import Look
from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.pair_batches import PairBatches
from erasekit.unlearn.registry import get_method


def towers() -> nn.ModuleList:
    torch.manual_seed(0)
    return nn.ModuleList(
        nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 4))
        for _ in range(2)
    ).double()


def loss(model: nn.ModuleList, rows: torch.Tensor, micro_batch: int) -> torch.Tensor:
    image, text = (features_of(tower, rows, micro_batch) for tower in model)
    image, text = (v / v.norm(dim=1, keepdim=True) for v in (image, text))
    return info_nce(image, text, rows.new_tensor(10.0))


def gradients(model: nn.Module, value: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(value, list(model.parameters())))


@given(n=st.integers(2, 17), micro_batch=st.integers(0, 20))
@settings(deadline=None, max_examples=30)
def test_pieces_give_the_gradient_of_the_whole_batch(n: int, micro_batch: int) -> None:
    model, rows = towers(), torch.randn(n, 8, dtype=torch.float64)
    whole, pieces = loss(model, rows, 0), loss(model, rows, micro_batch)
    assert torch.allclose(pieces, whole, rtol=1e-12)
    for one, other in zip(gradients(model, whole), gradients(model, pieces), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_accumulating_over_pieces_would_be_another_gradient() -> None:
    """What the pieces are compared with above is no matter of course: negatives count."""
    model, rows = towers(), torch.randn(12, 8, dtype=torch.float64)
    whole = gradients(model, loss(model, rows, 0))
    parts = [gradients(model, loss(model, piece, 0)) for piece in rows.split(4)]
    mean = [torch.stack(each).mean(0) for each in zip(*parts, strict=True)]
    assert max(float((a - b).norm() / a.norm()) for a, b in zip(whole, mean, strict=True)) > 0.1


def saved_bytes(n: int, micro_batch: int) -> int:
    """What autograd keeps from the forward pass for the backward pass, by its own hooks."""
    model, rows, total = towers(), torch.randn(n, 8, dtype=torch.float64), 0
    weights = {weight.data_ptr() for weight in model.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        total += 0 if tensor.data_ptr() in weights else tensor.numel() * tensor.element_size()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        loss(model, rows, micro_batch)
    return total


def test_what_is_kept_from_the_forward_pass_is_not_the_activations() -> None:
    whole, pieces = saved_bytes(256, 0), saved_bytes(256, 16)
    activations = 2 * 256 * (4 * 64) * 8  # of two towers, four layers wide 64, in bytes
    assert whole - pieces > 0.9 * activations


class Marked(torch.autograd.Function):
    """The identity, which tells when its activations are there and when they were used."""

    @staticmethod
    def forward(ctx, rows: torch.Tensor, alive: list[int]) -> torch.Tensor:
        ctx.save_for_backward(rows)
        ctx.alive = alive
        alive.append(alive[-1] + len(rows))
        return rows.clone()

    @staticmethod
    def backward(ctx, *gradient: torch.Tensor):
        (rows,) = ctx.saved_tensors  # in a piece, all of it is computed again here
        ctx.alive.append(ctx.alive[-1] - len(rows))
        return gradient[0], None


@pytest.mark.parametrize(("micro_batch", "most"), [(0, 24), (5, 5), (6, 6)])
def test_one_piece_after_the_other_is_computed_again(micro_batch: int, most: int) -> None:
    alive = [0]
    weight = torch.ones(3, 3, requires_grad=True)
    rows = torch.randn(24, 3)
    features = features_of(lambda piece: Marked.apply(piece @ weight, alive), rows, micro_batch)
    if micro_batch:
        assert alive[-1] == 24
        alive[:] = [0]  # a checkpoint let go of all that the forward pass made
    (features @ features.T).logsumexp(1).sum().backward()
    assert max(alive) == most
    assert alive[-1] == 0


def test_no_tower_sees_more_than_a_piece(tiny_experiment) -> None:
    e, seen = tiny_experiment, []
    clip = e.original.copy()
    for tower in (clip.model.visual, clip.model.ln_final):
        tower.register_forward_hook(lambda module, rows, out: seen.append(len(rows[0])))
    pairs = e.task.retain.take(range(5))
    tokens = clip.tokenizer(list(pairs.captions))
    whole = encode(clip, pairs.images, tokens, "fp32")
    assert seen == [5, 5]
    seen.clear()
    pieces = encode(clip, pairs.images, tokens, "fp32", micro_batch=2)
    assert seen == [2, 2, 1] * 2
    torch.testing.assert_close(pieces.image, whole.image, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pieces.text, whole.text, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["munba", "lip", "never_seen"])
def test_an_erasure_in_pieces_is_the_erasure(tiny_experiment, name: str) -> None:
    """Weighed gradients, masks, noised pictures and names too go through in pieces."""
    e = tiny_experiment
    original = build("vit", e.original)
    spec = EraseSpec(steps=3, forget_batch=4, retain_batch=6, learning_rate=1e-5)
    method = get_method(name).build({})
    whole, pieces = (
        erase(original, e.task, method, dataclasses.replace(spec, micro_batch=n), progress=False)
        for n in (0, 3)
    )
    for one, other in zip(whole.history, pieces.history, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)


def test_a_gradient_that_is_looked_at_is_the_same_in_pieces(tiny_experiment) -> None:
    e = tiny_experiment
    clip = build("vit", e.original)
    specs = (EraseSpec(forget_batch=4, retain_batch=6, micro_batch=n) for n in (0, 3))
    whole, pieces = (
        Look(PairBatches(clip, e.task, e.method, spec)).gradient("retain", contrastive, batches=2)
        for spec in specs
    )
    for name, gradient in whole.items():
        torch.testing.assert_close(pieces[name], gradient, rtol=1e-3, atol=1e-5)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(UsageError, match=r"micro_batch = -1 must be 0 or more"):
        EraseSpec(micro_batch=-1)
