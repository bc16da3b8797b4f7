"""DELETE strikes a pair's own caption out of the original's answer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from support import unit
from support_methods import SHAPES, array, both, rows_unit, softmax, value

from erasekit.unlearn.method import Prompts
from erasekit.unlearn.methods.delete import DELETE


@settings(max_examples=20, deadline=None)
@given(**SHAPES)
def test_delete_strikes_the_own_caption_out(n, d, seed) -> None:
    forget, retain = both(n, d, seed)
    prompts = Prompts(unit(5, d, 77))
    classes, total = array(prompts.text), 0.0
    for i in range(n):
        q = softmax([5 * float(array(forget.original_image)[i] @ c) for c in classes])
        picture, own = rows_unit(forget.image)[i], rows_unit(forget.text)[i]
        p = softmax([7 * float(picture @ c) for c in (*classes, own)])
        total += sum(a * math.log(a / b) for a, b in zip(q, p[:-1], strict=True))
    found = DELETE().loss(forget, retain, prompts)
    assert value(found, "forgetting") == pytest.approx(total / n)
