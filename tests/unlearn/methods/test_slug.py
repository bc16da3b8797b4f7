"""SLUG takes one step in one layer: which layer, and how far."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_methods import Written

from erasekit.errors import RunError
from erasekit.unlearn.methods.slug import SLUG, pareto


def test_slug_tries_the_layers_that_no_other_beats() -> None:
    """Importance 4, 3, 2, 1 and alignment .5, .9, .1, .05: the second is beaten by the first."""
    weights = {name: torch.tensor([[1.0, 0.0]]) for name in "abcd"} | {"bias": torch.ones(2)}
    retain = {name: torch.tensor([[1.0, 0.0]]) for name in "abcd"} | {"bias": torch.ones(2)}
    cosines = dict(zip("abcd", (0.5, -0.9, 0.1, -0.05), strict=True))
    lengths = dict(zip("abcd", (4.0, 3.0, 2.0, 1.0), strict=True))
    forget = {
        k: lengths[k] * torch.tensor([[c, math.sqrt(1 - c * c)]]) for k, c in cosines.items()
    } | {"bias": 99 * torch.ones(2)}
    assert pareto(weights, forget, retain) == ["a", "c", "d"]
    forget["a"] = torch.zeros(1, 2)  # a layer without gradient has nothing to undo
    assert pareto(weights, forget, retain) == ["b", "c", "d"]


@settings(max_examples=40, deadline=None)
@given(needed=st.floats(0.02, 0.98), halvings=st.integers(1, 12))
def test_slug_finds_the_shortest_step_that_forgets(needed: float, halvings: int) -> None:
    """One layer of length 1 and gradient of length 2: the longest step is 0.5."""
    theta, gradient = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])

    def top1(weights):
        return float(float(weights["w"][0, 1]) > -needed), 1.0

    look = Written({"w": theta}, {"w": gradient}, {"w": torch.tensor([[1.0, 0.0]])}, top1=top1)
    SLUG(halvings=halvings).finish(look)
    moved = -float(look.weights["w"][0, 1])
    assert needed <= moved + 1e-6 <= needed + 0.5**halvings + 2e-6
    assert float(look.weights["w"][0, 0]) == 1


def test_slug_takes_the_layer_that_forgets_and_keeps_most() -> None:
    weights = {name: torch.tensor([[1.0, 0.0]]) for name in ("keeps less", "keeps", "useless")}
    retain = {name: torch.tensor([[1.0, 0.0]]) for name in weights}
    forget = {
        name: length * torch.tensor([[c, -math.sqrt(1 - c * c)]])
        for name, length, c in zip(weights, (3, 2, 1), (0.9, 0.5, 0.1), strict=True)
    }

    def top1(now):
        moved = {k: float((now[k] - weights[k]).norm()) for k in weights}
        forgotten = moved["keeps less"] > 0.3 or moved["keeps"] > 0.6
        return float(not forgotten), 1 - 0.9 * moved["keeps less"] - 0.2 * moved["keeps"]

    look = Written(weights, forget, retain, top1=top1)
    SLUG(halvings=5).finish(look)
    changed = [k for k in weights if not torch.equal(look.weights[k], weights[k])]
    assert changed == ["keeps"]
    # 1 look at the longest step, the halvings, 1 at what was found; the useless one has 2.
    assert look.looks == 2 * (1 + 5 + 1) + 2


def test_slug_says_when_there_is_nothing_to_undo() -> None:
    nothing = {"w": torch.zeros(1, 2)}
    with pytest.raises(RunError, match=r"slug: .* gradient is 0 in every layer"):
        SLUG().finish(Written({"w": torch.ones(1, 2)}, nothing, nothing))
