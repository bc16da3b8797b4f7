"""Muon: torch's own version on matrices, AdamW on the rest, and what orthogonalising promises."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from erasekit.models.muon import MOMENTUM, RATE, Muon, orthogonalise


def steps(optimizer: torch.optim.Optimizer, weights: list[torch.Tensor], count: int) -> None:
    """Steps on gradients that depend only on the step's number."""
    for step in range(count):
        generator = torch.Generator().manual_seed(step)
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()


def start(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(99)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (24, 24)])
def test_a_matrix_moves_as_by_torchs_own_muon(shape: tuple[int, int]) -> None:
    (ours,), (theirs,) = start(shape), start(shape)
    group = {"params": [ours], "weight_decay": 0.1, "muon": True}
    steps(Muon([group], lr=2e-3), [ours], 5)
    library = torch.optim.Muon([theirs], lr=RATE * 2e-3, weight_decay=0.1, momentum=MOMENTUM)
    steps(library, [theirs], 5)
    begin = start(shape)[0]
    moved = (theirs - begin).norm()
    # The library orthogonalises in bfloat16, whose relative precision is 1/256.
    assert (ours - theirs).norm() < 0.02 * moved


def test_a_filter_moves_as_the_matrix_of_its_output_channels() -> None:
    (filters,), (matrix,) = start((8, 4, 3, 3)), start((8, 36))
    with torch.no_grad():
        matrix.copy_(filters.flatten(1))
    for weight in (filters, matrix):
        group = {"params": [weight], "weight_decay": 0.1, "muon": True}
        optimizer = Muon([group], lr=2e-3)
        for step in range(3):
            drawn = torch.randn((8, 36), generator=torch.Generator().manual_seed(step))
            weight.grad = drawn.view_as(weight).clone()
            optimizer.step()
    assert torch.allclose(filters.flatten(1), matrix, atol=1e-6)


def test_other_weights_move_as_by_adamw() -> None:
    own, alone = start((6, 5), (7,)), start((6, 5), (7,))
    matrix = start((4, 4))[0]
    common = {"lr": 2e-3, "betas": (0.9, 0.98), "weight_decay": 0.1}
    ours = Muon([{"params": own}, {"params": [matrix], "muon": True}], **common)
    steps(ours, own, 4)
    steps(torch.optim.AdamW(alone, **common), alone, 4)
    assert all(torch.equal(a, b) for a, b in zip(own, alone, strict=True))
    assert torch.equal(matrix, start((4, 4))[0])  # it never had a gradient


def test_a_restored_optimiser_goes_on_where_it_was() -> None:
    whole, parted = start((6, 5), (7,)), start((6, 5), (7,))

    def made(weights: list[torch.Tensor]) -> Muon:
        return Muon([{"params": [weights[0]], "muon": True}, {"params": [weights[1]]}], lr=1e-2)

    steps(made(whole), whole, 1)
    first = made(parted)
    steps(first, parted, 1)
    second = made(parted)
    second.load_state_dict(first.state_dict())
    again = made(whole)
    steps(again, whole, 1)  # without the state: another way
    steps(second, parted, 1)
    assert not torch.equal(whole[0], parted[0])
    uninterrupted = start((6, 5), (7,))
    one = made(uninterrupted)
    steps(one, uninterrupted, 1)
    steps(one, uninterrupted, 1)
    assert all(torch.equal(a, b) for a, b in zip(parted, uninterrupted, strict=True))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 1000))
def test_orthogonalising_keeps_the_directions_and_evens_the_lengths(
    rows: int, columns: int, seed: int
) -> None:
    matrix = torch.randn((rows, columns), generator=torch.Generator().manual_seed(seed))
    before = torch.linalg.svd(matrix, full_matrices=False)
    after = torch.linalg.svdvals(orthogonalise(matrix))
    # Singular values far below the largest need more than five iterations.
    clear = 0.1 * before.S.max() < before.S
    assert (after[: int(clear.sum())] > 0.6).all()
    assert (after < 1.3).all()
    # The same left and right directions: what is left off the diagonal is rounding.
    seen = before.U.T @ orthogonalise(matrix) @ before.Vh.T
    assert (seen - seen.diagonal().diag()).abs().max() < 1e-2
