"""What an error says in one line."""

from __future__ import annotations

import pytest

from erasekit.errors import reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("a hub that is away\nand more"), "a hub that is away"),
        (ValueError("\n first\nsecond"), "first"),
        (ValueError("red \x1b[31m"), r"red \x1b[31m"),
        (KeyError(), "KeyError"),
    ],
)
def test_the_reason_is_one_harmless_line(error: Exception, said: str) -> None:
    assert reason(error) == said
