"""Text from external data: safe to print, and normalised for comparison."""

from __future__ import annotations

import unicodedata


def shown(text: str) -> str:
    """The first 300 characters of a text, as one line without control characters."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:300]
    )


def composed(text: str) -> str:
    """A text in Unicode's composed form (NFC), in which equal letters have equal code points."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """A text for comparison: composed and case-folded."""
    return composed(composed(text).casefold())


def no_formula(text: str) -> str:
    """A cell that spreadsheets do not interpret as a formula: prefixed with a quote if needed."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
