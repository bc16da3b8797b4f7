"""Text from somebody else's data: made safe to print, and compared whatever its form."""

from __future__ import annotations

import unicodedata


def shown(text: str) -> str:
    """At most 300 characters of a text, as one line without control characters."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:300]
    )


def composed(text: str) -> str:
    """A text in Unicode's composed form (NFC), in which equal letters are equal characters."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """A text for comparing: composed, and without upper case."""
    return composed(composed(text).casefold())


def no_formula(text: str) -> str:
    """A cell of a table that no spreadsheet takes for a formula: quoted where it begins as one."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
