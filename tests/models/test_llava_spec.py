"""The recipe of a LLaVA."""

from __future__ import annotations

import pytest

from erasekit.errors import UsageError
from erasekit.models.llava_spec import LlavaSpec


@pytest.mark.parametrize(
    ("given", "words"),
    [({"width": 30}, "multiple of heads"), ({"steps": 0}, "must be above 0")],
)
def test_a_spec_that_cannot_be_is_refused(given, words):
    with pytest.raises(UsageError, match=words):
        LlavaSpec(**given)
