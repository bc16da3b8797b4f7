"""Small entries for tests of the registry."""

from __future__ import annotations

from typing import Any

from erasekit.requests.states import Book


def file_by(book: Book) -> dict[str, Any]:
    """The entry that files the next request."""
    return {
        "what": "add",
        "request": f"r{len(book.requests) + 1}",
        "rule": "fruit",
        "selection": "s",
        "why": "",
        "due": "2026-02-01",
        "state": "received",
    }


def approve_by(name: str) -> Any:
    return lambda _: {"what": "approve", "request": name}
