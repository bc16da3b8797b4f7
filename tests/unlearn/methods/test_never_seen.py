"""Never-seen aims at the level of concepts that were never trained."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import unit
from support_methods import SHAPES, array, both, rows_unit, value

from erasekit.errors import UsageError
from erasekit.unlearn.method import Prompts, Unseen
from erasekit.unlearn.methods.never_seen import NeverSeen


@settings(max_examples=20, deadline=None)
@given(**SHAPES, level=st.floats(-0.5, 0.5), scenes=st.floats(0, 1))
def test_never_seen_aims_at_the_level_of_strangers_and_moves_nothing_else(
    n, d, seed, level, scenes
) -> None:
    forget, retain = both(n, d, seed)
    shares = [1.0 if i % 2 else 0.5 for i in range(n)]
    forget = dataclasses.replace(
        forget,
        name=2 * unit(n, d, seed + 7),
        original_name=unit(n, d, seed + 8),
        forgotten_share=torch.tensor(shares).double(),
    )
    image, text, name = (rows_unit(t) for t in (forget.image, forget.text, forget.name))
    forgetting = naming = 0.0
    for i, share in enumerate(shares):
        target = share * level + (1 - share) * scenes
        forgetting += abs(float(image[i] @ text[i]) - target) / n
        naming += abs(float(array(forget.original_name)[i] @ name[i]) - level) / n
    moved = np.mean(
        ((rows_unit(retain.image) - array(retain.original_image)) ** 2).sum(1)
        + ((rows_unit(retain.text) - array(retain.original_text)) ** 2).sum(1)
    )
    method = NeverSeen(forgetting=2, naming=3, consistency=4)
    terms = method.loss(forget, retain, Prompts(unit(3, d, 5), Unseen(level, scenes)))
    assert value(terms, "forgetting") == pytest.approx(2 * forgetting)
    assert value(terms, "naming") == pytest.approx(3 * naming)
    assert value(terms, "consistency") == pytest.approx(4 * moved)
    names = (array(forget.original_name) * name).sum(1)
    shuffled = NeverSeen(level="shuffled").loss(
        forget, retain, Prompts(unit(3, d, 5), Unseen(None, None))
    )
    pictures, captions = array(retain.original_image), array(retain.original_text)
    m = len(pictures)
    strangers = np.mean([pictures[i] @ captions[j] for i in range(m) for j in range(m) if i != j])
    assert value(shuffled, "naming") == pytest.approx(np.mean(np.abs(names - strangers)))
    assert value(shuffled, "forgetting") == pytest.approx(
        np.mean(np.abs((image * text).sum(1) - strangers))
    ), "without a scene to measure, a scene is to end where everything else does"


def test_never_seen_says_what_to_do_where_nothing_was_held_out() -> None:
    forget, retain = both(3, 4, 0)
    forget = dataclasses.replace(forget, forgotten_share=torch.ones(3).double())
    with pytest.raises(UsageError, match="set level=shuffled"):
        NeverSeen().loss(forget, retain, Prompts(unit(3, 4, 5), Unseen(None, 0.5)))
