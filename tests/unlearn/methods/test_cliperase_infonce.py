"""CLIPErase's InfoNCE variant against its equation in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from support_methods import SHAPES, contrastive, features, nll, over_batch, rows_unit

from erasekit.unlearn.methods.cliperase_infonce import CLIPEraseInfoNCE


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_the_infonce_variant_climbs_among_all_rows_and_holds(n: int, d: int, seed: int) -> None:
    forget, retain = features(n, d, seed), features(n + 1, d, seed + 50)
    terms = CLIPEraseInfoNCE(forgetting=2, retention=3, consistency=5).loss(forget, retain, None)
    images = np.concatenate([rows_unit(forget.image), rows_unit(retain.image)])
    texts = np.concatenate([rows_unit(forget.text), rows_unit(retain.text)])
    climbed = 2 * np.mean(nll(images, texts, 7.0)[:n])  # a sum of two directions, not their mean
    assert float(terms["forgetting"].detach()) == pytest.approx(-2 * climbed)
    kept = contrastive(rows_unit(retain.image), rows_unit(retain.text), 7.0)
    assert float(terms["retention"].detach()) == pytest.approx(3 * kept)
    held = over_batch(retain)
    assert float(terms["consistency"].detach()) == pytest.approx(5 * held, rel=1e-6, abs=1e-9)
