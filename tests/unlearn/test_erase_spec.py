"""The specification of an erasure: what is refused, and epochs as steps."""

from __future__ import annotations

import dataclasses

import pytest

from erasekit.errors import UsageError
from erasekit.unlearn.erase_spec import EraseSpec


@pytest.mark.parametrize(
    "field", ["steps", "forget_batch", "retain_batch", "learning_rate", "check_every"]
)
def test_a_specification_that_cannot_be_is_refused(field: str) -> None:
    for value in (0, -1, float("nan")):
        with pytest.raises(UsageError, match=f"{field} = "):
            EraseSpec(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("epochs", "pairs", "steps", "check_every"),
    [(20, 42_750, 53_438, 534), (0.5, 16, 1, 10), (2, 17, 3, 10), (1e-9, 3, 1, 10)],
)
def test_epochs_become_steps_of_the_retain_set(epochs, pairs, steps, check_every) -> None:
    before = EraseSpec(retain_batch=16, forget_batch=3, learning_rate=0.5, seed=4)
    after = before.for_epochs(epochs, pairs)
    assert after == dataclasses.replace(before, steps=steps, check_every=check_every)
