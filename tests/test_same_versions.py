"""What differs between the machines that run units is named."""

from __future__ import annotations

import pytest

from erasekit.same_versions import differs


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({"python": "3.11", "code": "abc"}, ""),
        ({"python": "3.12", "code": "abc"}, "has python 3.12, and this program has 3.11"),
        ({"python": "3.11", "code": "abd"}, "has the code of erasekit abd"),
        ({"code": "abc"}, "has python none"),
        (ModuleNotFoundError("No module named 'erasekit'"), "cannot run erasekit"),
    ],
)
def test_what_differs_is_named(there, words):
    said = differs("worker tcp://w", there, {"python": "3.11", "code": "abc"})
    assert words in said
    assert bool(said) == bool(words)
