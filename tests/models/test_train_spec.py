"""The recipe of a CLIP."""

from __future__ import annotations

import pytest

from erasekit.errors import UsageError
from erasekit.models.train_clip import TrainSpec


@pytest.mark.parametrize("field", ["steps", "batch", "learning_rate"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_recipe_that_cannot_be_is_refused(field: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{field} = "):
        TrainSpec(**{field: value})  # type: ignore[arg-type]
