"""`requests.html`: the queue, the evidence of each request, and the history of the live model."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from erasekit.files import write_text
from erasekit.requests.registry_folder import CHECKPOINT, DATABASE, Registry
from erasekit.requests.states import (
    DENIED,
    FAILED,
    LIVE,
    NEEDS_INPUT,
    OPEN,
    ROLLED_BACK,
    Request,
)
from erasekit.runs.pages.rendering import link, render_page
from erasekit.runs.run_folder import CERTIFICATE_PAGE, REPORT

PAGE = "requests.html"
_MOODS = {LIVE: "good", FAILED: "bad", ROLLED_BACK: "bad"}
#: States whose reason is shown beside the request.
_REASONS = (NEEDS_INPUT, DENIED, FAILED, ROLLED_BACK)
#: How entries are told.
_SAID = {
    "init": "registry made",
    "add": "filed",
    "review": "taken in review",
    "ask": "asked back",
    "approve": "approved",
    "refuse": "refused",
    "run": "erasing started",
    "impossible": "cannot be carried out",
    "policy": "policy changed",
    "made": "erased",
    "verify": "verified: the policy is met",
    "fail": "failed",
    "split": "failed together: each request is tried alone",
    "promote": "promoted",
    "rollback": "rolled back",
}


def write_queue(registry: Registry, out: Path | None = None, today: date | None = None) -> Path:
    """Write the page of a registry, by default into its folder.

    Raises:
        RunError: when it cannot be written.
    """
    path = Path(out) if out else registry.folder / PAGE
    today, book = today or date.today(), registry.book
    waiting = sorted(book.in_state(*OPEN), key=lambda r: (r.due, r.added))
    closed = [r for r in book.requests.values() if r.state not in OPEN]
    html = render_page(
        "requests.html",
        "erasekit.requests",
        name=registry.folder.name,
        policy=registry.policy.name,
        live=book.live.id,
        late=sum(age(request, today)[1] for request in waiting),
        waiting=[_line(registry, request, today) for request in waiting],
        closed=[_line(registry, request, today) for request in reversed(closed)],
        history=[
            told(entry)
            for entry in reversed(registry.log.entries)
            if entry["what"] in ("promote", "rollback", "policy")
        ],
        versions=[
            {
                "id": version.id,
                "stage": version.stage,
                "requests": ", ".join(version.requests) or "none",
                "made": version.made[:10],
                "links": _evidence(registry, version.id, path.resolve().parent),
            }
            for version in reversed(book.versions.values())
        ],
        entries=len(registry.log.entries),
        log="the database" if registry.config.database else DATABASE,
        checkpoint=CHECKPOINT,
        note=registry.log.note,
    )
    return write_text(path, html)


def age(request: Request, today: date) -> tuple[int, bool]:
    """The days since a request was filed, and whether it is open beyond its deadline."""
    days = max(0, (today - date.fromisoformat(request.added[:10])).days)
    return days, request.state in OPEN and today.isoformat() > request.due


def told(entry: dict[str, Any]) -> dict[str, str]:
    """An entry in words: when, who, what, which and why."""
    which = entry.get("request") or entry.get("version") or ""
    what = _SAID[entry["what"]]
    if entry["what"] == "policy":
        what += f" to “{entry['name']}”"
    if found := entry.get("shadow"):
        what += (
            f"; {found['changed']} of {found['queries']} answers differ from {found['live']}'s, "
            f"{found['asked']} of them about what was asked"
        )
    return {
        "at": entry["at"].replace("T", " ").replace("+00:00", " UTC"),
        "who": entry["who"],
        "what": what,
        "which": which,
        "why": entry.get("why", ""),
    }


def _line(registry: Registry, request: Request, today: date) -> dict[str, Any]:
    days, late = age(request, today)
    entries = [registry.log.entries[place] for place in request.entries]
    return {
        "request": request,
        "why": entries[-1].get("why", "") if request.state in _REASONS else "",
        "age": f"{days} day{'' if days == 1 else 's'}",
        "late": late,
        "mood": "bad" if late else _MOODS.get(request.state, "plain"),
        "entries": [told(entry) for entry in entries],
    }


def _evidence(registry: Registry, version: str, folder: Path) -> list[tuple[str, str]]:
    run = registry.run_folder(version)
    files = {"report": REPORT, "certificate": CERTIFICATE_PAGE}
    return [(name, link(run / f, folder)) for name, f in files.items() if (run / f).is_file()]
