"""Exercises of notebook 13: right answers are right, and each mistake gets its hint."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from erasekit.tutorial import own_data
from erasekit.tutorial.exercises.own_exercises import EXERCISES

NEARER, NEAR_COPIES = (EXERCISES["13_your_own_data"][name] for name in ("nearer", "near_copies"))
WORLD, RUN = SimpleNamespace(original=0.7, oracle=0.4), SimpleNamespace(model=0.0)


@pytest.mark.parametrize(
    ("similarity", "hint"),
    [
        (0.3, None),
        (0.65, None),
        (0.7, "nothing was erased"),
        (-0.2, "as far from the oracle as the erased model, and below it"),
        ("no erasure", "Put the mixed model itself there"),
    ],
)
def test_an_erasure_that_is_nearer_to_the_oracle(monkeypatch, similarity, hint):
    monkeypatch.setattr(
        own_data, "request_similarity", lambda world, clip: getattr(clip, "similarity", clip)
    )
    answer = (
        similarity
        if isinstance(similarity, str)
        else SimpleNamespace(encode_texts=None, similarity=similarity)
    )
    verdict = NEARER.verdict(answer, world=WORLD, erased=RUN)
    assert verdict.status == ("wrong" if hint else "right")
    assert (hint or "Right") in verdict.text


def rows(images, row, *, own=False, less=4.0, kind=torch.float32):
    apart = (images.to(kind) - images[row].to(kind)).abs().float().mean(dim=(1, 2, 3))
    return [i for i in range(len(images)) if (own or i != row) and apart[i] < less]


@pytest.mark.parametrize(
    ("changed", "hint"),
    [
        ({}, None),
        ({"own": True}, "leave `row` out"),
        ({"less": 41}, "brighter by 40 is in the list"),
        ({"kind": torch.uint8}, "wraps around"),
        ({"less": 0.5}, "wraps around"),
        ({"less": 0}, "it returns []"),
    ],
)
def test_near_copies(changed, hint):
    verdict = NEAR_COPIES.verdict(lambda images, row: rows(images, row, **changed))
    assert verdict.status == ("wrong" if hint else "right"), verdict.text
    assert (hint or "Right") in verdict.text
    assert NEAR_COPIES.verdict(lambda images, row: None).status == "waiting"
