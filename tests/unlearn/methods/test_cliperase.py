"""CLIPErase's three modules, each against the paper's equation in numpy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import unit
from support_methods import SHAPES, array, contrastive, features, kl, rows_unit

from erasekit.unlearn.method import Prompts
from erasekit.unlearn.methods.cliperase import (
    CLIPErase,
    consistency_loss,
    forgetting_loss,
    retention_loss,
)


@settings(max_examples=30, deadline=None)
@given(**SHAPES)
def test_forgetting_is_the_mean_similarity_of_matched_pairs(n: int, d: int, seed: int) -> None:
    f = features(n, d, seed)
    cosine = np.mean([a @ b for a, b in zip(rows_unit(f.image), rows_unit(f.text), strict=True)])
    dot = np.mean([a @ b for a, b in zip(array(f.image), array(f.text), strict=True)])
    assert float(forgetting_loss(f).detach()) == pytest.approx(cosine)
    assert float(forgetting_loss(f, "dot").detach()) == pytest.approx(dot)
    assert float(forgetting_loss(f, "cosine", True).detach()) == pytest.approx(7 * cosine)
    assert float(forgetting_loss(f, "dot", True).detach()) == pytest.approx(7 * dot)


@settings(max_examples=30, deadline=None)
@given(**SHAPES)
def test_retention_is_the_contrastive_loss(n: int, d: int, seed: int) -> None:
    f = features(n, d, seed)
    expected = contrastive(rows_unit(f.image), rows_unit(f.text), 7.0)
    assert float(retention_loss(f).detach()) == pytest.approx(expected)


def within(vectors: np.ndarray, temperature: float) -> list[list[float]]:
    """Similarities of each row to the others, itself left out."""
    n = len(vectors)
    return [
        [float(vectors[i] @ vectors[j]) / temperature for j in range(n) if j != i] for i in range(n)
    ]


@settings(max_examples=30, deadline=None)
@given(**SHAPES, temperature=st.floats(0.05, 2))
def test_consistency_holds_each_modality(n: int, d: int, seed: int, temperature: float) -> None:
    f = features(n, d, seed)
    prompts = Prompts(unit(5, d, 77))
    sides = [
        (array(f.original_image), rows_unit(f.image)),
        (array(f.original_text), rows_unit(f.text)),
    ]
    classes = array(prompts.text)
    expected = {
        "batch": sum(kl(within(a, temperature), within(b, temperature)) for a, b in sides),
        "prompts": sum(
            kl((a @ classes.T / temperature).tolist(), (b @ classes.T / temperature).tolist())
            for a, b in sides
        ),
        "features": sum(
            kl((a / temperature).tolist(), (b / temperature).tolist()) for a, b in sides
        ),
    }
    for unimodal, value in expected.items():
        found = consistency_loss(f, prompts, unimodal, temperature)  # type: ignore[arg-type]
        assert float(found.detach()) == pytest.approx(value, abs=1e-9)
        assert float(found.detach()) >= -1e-12


@pytest.mark.parametrize("unimodal", ["batch", "prompts", "features"])
def test_consistency_is_zero_when_nothing_moved(unimodal: str) -> None:
    still = features(6, 4, 0, moved=False)
    loss = consistency_loss(still, Prompts(unit(5, 4, 9)), unimodal)  # type: ignore[arg-type]
    assert float(loss.detach()) == pytest.approx(0, abs=1e-12)
    moved = consistency_loss(features(6, 4, 0), Prompts(unit(5, 4, 9)), unimodal)  # type: ignore[arg-type]
    assert float(moved.detach()) > 1e-3


@pytest.mark.parametrize("unimodal", ["batch", "prompts", "features"])
def test_consistency_moves_the_current_model_alone(unimodal: str) -> None:
    f = features(6, 4, 0)
    assert f.original_image is not None and f.original_text is not None
    prompts = Prompts(unit(5, 4, 9))
    consistency_loss(f, prompts, unimodal).backward()  # type: ignore[arg-type]
    assert f.image.grad is not None and float(f.image.grad.abs().max()) > 0
    assert f.text.grad is not None and float(f.text.grad.abs().max()) > 0
    assert f.original_image.grad is None and f.original_text.grad is None
    assert prompts.text.grad is None


def test_cliperase_weighs_its_modules_as_the_paper_does() -> None:
    forget, retain, prompts = features(4, 5, 3), features(6, 5, 8), Prompts(unit(5, 5, 1))
    terms = CLIPErase().loss(forget, retain, prompts)
    assert float(terms["retention"].detach()) == pytest.approx(
        float(retention_loss(retain).detach())
    )
    assert float(terms["forgetting"].detach()) == pytest.approx(
        3 * float(forgetting_loss(forget).detach())
    )
    assert float(terms["consistency"].detach()) == pytest.approx(
        3 * float(consistency_loss(retain, prompts).detach())
    )
    assert set(terms) == {"retention", "forgetting", "consistency"}


@pytest.mark.parametrize("module", ["forgetting", "retention", "consistency"])
def test_a_module_of_weight_zero_is_left_out(module: str) -> None:
    method = dataclasses.replace(CLIPErase(), **{module: 0.0})
    terms = method.loss(features(4, 5, 3), features(6, 5, 8), Prompts(unit(5, 5, 1)))
    assert set(terms) == {"forgetting", "retention", "consistency"} - {module}


def test_switches_reach_the_losses() -> None:
    forget, retain, prompts = features(4, 5, 3), features(6, 5, 8), Prompts(unit(5, 5, 1))
    method = CLIPErase(product="dot", scaled=True, unimodal="prompts", temperature=0.7)
    terms = method.loss(forget, retain, prompts)
    assert float(terms["forgetting"].detach()) == pytest.approx(
        3 * float(forgetting_loss(forget, "dot", True).detach())
    )
    assert float(terms["consistency"].detach()) == pytest.approx(
        3 * float(consistency_loss(retain, prompts, "prompts", 0.7).detach())
    )
