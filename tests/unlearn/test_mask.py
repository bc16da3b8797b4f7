"""What a mask holds stays bit-identical, whatever the optimiser does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from erasekit.errors import RunError
from erasekit.unlearn.mask import WeightMask

OPTIMISERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.3),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.3),
}


@pytest.fixture
def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def half(model: nn.Module) -> dict[str, torch.Tensor]:
    """Every second weight of the first layer, all biases of the second."""
    shape = model[0].weight.shape  # type: ignore[index,union-attr]
    every_second = (torch.arange(shape.numel()) % 2 == 0).view(shape)
    return {"0.weight": every_second, "1.bias": torch.ones(2, dtype=torch.bool)}


def step(model: nn.Module, optimiser: torch.optim.Optimizer, number: int) -> None:
    optimiser.zero_grad()
    model(torch.full((5, 3), 1.0 + number)).square().sum().backward()
    optimiser.step()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_masked_weights_are_bit_identical_and_the_others_move(model, name: str) -> None:
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    moves = half(model)
    mask = WeightMask(model, moves, "test")
    optimiser = OPTIMISERS[name](model.parameters())
    for number in range(5):
        step(model, optimiser, number)
        mask.hold()
    for key, value in model.named_parameters():
        allowed = moves.get(key, torch.zeros_like(value, dtype=torch.bool))
        assert torch.equal(value != before[key], allowed), key


def test_a_masked_gradient_alone_would_not_hold_them(model) -> None:
    """What `hold` is for: without it, weight decay moves what has no gradient."""
    before = model[0].weight.detach().clone()
    WeightMask(model, half(model), "test")
    optimiser = OPTIMISERS["adamw"](model.parameters())
    step(model, optimiser, 0)
    assert (model[0].weight != before).all()


def test_momentum_from_before_the_mask_is_held_too(model) -> None:
    optimiser = OPTIMISERS["sgd"](model.parameters())
    step(model, optimiser, 0)
    before, moves = model[0].weight.detach().clone(), half(model)
    mask = WeightMask(model, moves, "test")
    step(model, optimiser, 1)
    mask.hold()
    assert torch.equal(model[0].weight != before, moves["0.weight"])


def test_a_mask_of_climbs_lets_retain_steps_move_what_a_climb_holds() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    moves = {"weight": torch.arange(12).view(3, 4) % 2 == 0, "bias": torch.zeros(3).bool()}
    mask = WeightMask(model, moves, "test", climbs_only=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.3)
    for number in range(6):
        climbs = number % 2 == 1
        mask.begin(climbs=climbs)
        before = {k: v.detach().clone() for k, v in model.named_parameters()}
        optimiser.zero_grad()
        model(torch.ones(2, 4)).square().sum().backward()
        if climbs:
            assert not model.weight.grad[~moves["weight"]].any()  # type: ignore[index]
        optimiser.step()
        mask.hold()
        for name, value in model.named_parameters():
            allowed = moves[name] if climbs else torch.ones_like(moves[name])
            assert torch.equal(value != before[name], allowed), (number, name)


def test_the_norm_of_the_gradient_is_that_of_what_moves(model) -> None:
    model(torch.ones(5, 3)).square().sum().backward()
    whole = {k: p.grad.clone() for k, p in model.named_parameters()}
    model.zero_grad()
    moves = half(model)
    WeightMask(model, moves, "test")
    model(torch.ones(5, 3)).square().sum().backward()
    expected = sum(float(whole[k][m].square().sum()) for k, m in moves.items()) ** 0.5
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
    assert float(norm) == pytest.approx(expected)
    assert model[1].weight.grad is None


def test_a_released_model_is_free(model) -> None:
    mask = WeightMask(model, half(model), "test")
    assert mask.moving == 6 + 2
    mask.release()
    assert all(p.requires_grad for p in model.parameters())
    model(torch.ones(5, 3)).square().sum().backward()
    assert all((p.grad != 0).all() for p in model.parameters())


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ({"0.wieght": torch.ones(4, 3).bool()}, "names '0.wieght', which is not a parameter"),
        ({"0.weight": torch.ones(3, 4).bool()}, r"shape \(3, 4\): give torch.bool of shape"),
        ({"0.weight": torch.ones(4, 3)}, "is torch.float32 of shape"),
        ({"0.weight": torch.zeros(4, 3).bool()}, "lets no weight move: raise"),
        ({}, "lets no weight move: raise"),
    ],
)
def test_a_mask_that_cannot_be_meant_is_refused(model, moves, message: str) -> None:
    with pytest.raises(RunError, match=f"^lip: its mask.*{message}") as caught:
        WeightMask(model, moves, "lip")
    assert "\n" not in str(caught.value)
    assert all(p.requires_grad for p in model.parameters())
