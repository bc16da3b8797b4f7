"""Small entries for tests of the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support_certificate import write_keys, write_policy
from support_tiny import TINY

from erasekit.requests.filing import add_request, decide_request
from erasekit.requests.registry_folder import Registry
from erasekit.requests.states import Book
from erasekit.settings import make_settings


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


KEPT = {
    "id": "kept",
    "about": "The rest is kept.",
    "source": "scorecard",
    "metric": "top1",
    "subset": "retain",
    "compare": "drop_from_original",
    "at_most": 1,
}


def approved_registry(tmp_path: Path, steps: int = TINY["steps"], **criterion: Any) -> Registry:
    """A registry of the tiny world with an approved request for fruit."""
    policy = write_policy(tmp_path / "policy.yaml", {**KEPT, **criterion})
    settings = make_settings("smoke", **{**TINY, "steps": steps})
    made = Registry.create(tmp_path / "reg", settings, str(policy), write_keys(tmp_path)[0], "ann")
    file_and_approve(made, "fruit")
    return made


def file_and_approve(registry: Registry, rule: str) -> str:
    name = add_request(registry, rule).id
    for what in ("review", "approve"):
        dora = Registry(registry.folder, "dora")
        decide_request(dora, what, name)
    registry.refresh()
    return name
