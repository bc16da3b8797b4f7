"""Null space takes the forgotten texts out of every feature."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import unit
from support_methods import Written

from erasekit.errors import RunError
from erasekit.unlearn.methods.null_space import NullSpace, basis


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 4), copies=st.integers(0, 2), seed=st.integers(0, 99))
def test_a_basis_spans_the_rows_and_no_more(rows: int, copies: int, seed: int) -> None:
    texts = unit(rows, 6, seed)
    repeated = torch.cat([texts, *[texts * 0.5] * copies])
    found = basis(repeated)
    assert found.shape == (rows, 6)
    assert torch.allclose(found @ found.T, torch.eye(rows, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(texts @ found.T @ found, texts, atol=1e-9)


#: What open_clip calls the final projection, and how features come out of it.
TOWERS = {
    "visual.attnpool.c_proj": ("image", True),
    "visual.proj": ("image", False),
    "text_projection": ("text", False),
    "text_projection (linear)": ("text", True),
}


@pytest.mark.parametrize("kind", TOWERS)
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_null_space_takes_the_texts_out_of_every_feature(kind: str, strength: float) -> None:
    tower, linear = TOWERS[kind]
    name = kind.removesuffix(" (linear)")
    torch.manual_seed(0)
    if linear:
        layer = torch.nn.Linear(7, 5, dtype=torch.float64)
        weights = {f"{name}.weight": layer.weight.detach()}
        if tower == "image":
            weights[f"{name}.bias"] = layer.bias.detach()
    else:
        weights = {name: torch.randn(7, 5, dtype=torch.float64)}

    def project(inside, w):
        if not linear:
            return inside @ w[name]
        return torch.nn.functional.linear(inside, w[f"{name}.weight"], w.get(f"{name}.bias"))

    texts, inside = unit(2, 5, 3), torch.randn(4, 7, dtype=torch.float64)
    look = Written({**weights, "other": torch.ones(5)}, texts=texts)
    NullSpace(towers=tower, strength=strength).finish(look)  # type: ignore[arg-type]
    before, after = project(inside, weights), project(inside, look.weights)
    assert torch.allclose(after @ texts.T, (1 - strength) * before @ texts.T, atol=1e-9)
    # What is at right angles to every forgotten text is as it was.
    across = torch.linalg.svd(texts)[2][2:]
    assert torch.allclose(after @ across.T, before @ across.T, atol=1e-9)
    if not strength:
        assert all(torch.equal(look.weights[k], v) for k, v in weights.items())
    assert torch.equal(look.weights["other"], torch.ones(5))


def test_null_space_says_when_it_knows_no_final_projection() -> None:
    look = Written({"visual.proj": torch.ones(3, 3)}, texts=torch.eye(3)[:1])
    with pytest.raises(RunError, match=r"^null_space: the text tower has no final projection"):
        NullSpace(towers="both").finish(look)
