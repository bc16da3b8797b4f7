"""MultiDelete aims at the similarity of unrelated pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from support_methods import SHAPES, array, both, rows_unit, value

from erasekit.unlearn.methods.multidelete import MultiDelete


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_multidelete_aims_at_the_similarity_of_strangers(n, d, seed) -> None:
    forget, retain = both(n, d, seed)
    image, text = rows_unit(forget.image), rows_unit(forget.text)
    strangers = [array(forget.original_image)[i] @ array(retain.original_text)[i] for i in range(n)]
    forgetting = np.mean([(image[i] @ text[i] - strangers[i]) ** 2 for i in range(n)])
    moved = np.mean(
        ((image - array(forget.original_image)) ** 2).sum(1)
        + ((text - array(forget.original_text)) ** 2).sum(1)
    )
    kept = np.mean(
        (
            (rows_unit(retain.image) * rows_unit(retain.text)).sum(1)
            - (array(retain.original_image) * array(retain.original_text)).sum(1)
        )
        ** 2
    )
    terms = MultiDelete(forgetting=2, retention=3, consistency=4).loss(forget, retain, None)
    assert value(terms, "forgetting") == pytest.approx(2 * forgetting)
    assert value(terms, "retention") == pytest.approx(3 * kept)
    assert value(terms, "consistency") == pytest.approx(4 * moved)
