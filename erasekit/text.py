"""Text from somebody else's data, made safe to print."""

from __future__ import annotations


def shown(text: str) -> str:
    """At most 300 characters of a text, as one line without control characters."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:300]
    )
