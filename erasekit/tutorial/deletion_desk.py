"""What the notebook on a deletion request needs: its folder, its policies, and its tables."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from erasekit.data.drawn.concepts import select_concepts
from erasekit.errors import UsageError, unknown
from erasekit.experiment.kinds import load
from erasekit.files import write_bytes, write_text
from erasekit.settings import Settings, make_settings
from erasekit.tutorial.stand_ins import stand_in

#: The criteria that the notebook's policies name.
CRITERIA: dict[str, dict[str, Any]] = {
    "forgotten": {
        "about": "Pictures of the forgotten are no longer called by their name.",
        "metric": "top1",
        "subset": "forget",
    },
    "kept": {
        "about": "Other pictures are called by their name about as often as before.",
        "metric": "top1",
        "subset": "retain",
        "compare": "drop_from_original",
    },
    "no trace": {
        "about": "Pictures and names of the forgotten were not pushed apart.",
        "metric": "similarity",
        "subset": "forget",
    },
}


def settings(profile: str, forget: str, second: str, **computing: Any) -> Settings:
    """Settings of a registry on a folder of drawings, for the small CLIP that learned them.

    Args:
        forget, second: groups of drawings that will be requested.

    Raises:
        UsageError: when a group is not there, or both are the same.
    """
    embedded = load(profile, progress=False, **computing)
    groups = dict.fromkeys(c.group for c in select_concepts(embedded.settings.concepts))
    for name in (forget, second):
        if name not in groups:
            raise unknown("group", name, groups)
    if forget == second:
        raise UsageError(f"second = {second}: name another group than in forget")
    made = stand_in(embedded, "table")
    return make_settings(profile, **{**made, **computing})


def desk(out: str) -> Path:
    """An empty folder for the registry, below the notebook's own `out`, or below ``runs``."""
    folder = Path(out or "runs").resolve() / "deletion_request"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write_key(folder: Path) -> Path:
    """Write a new Ed25519 private key as a PEM file."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return write_bytes(folder / "private.pem", pem)


def write_policy(
    path: Path, reviewers: Sequence[str], bounds: Mapping[str, tuple[str, float]]
) -> Path:
    """Write a policy.

    Args:
        reviewers: who may decide.
        bounds: for each of `CRITERIA` that it has, ``at_most`` or ``at_least`` and the bound.
    """
    told = {
        "name": path.stem,
        "purpose": "Drawings have been asked to be removed from a CLIP.",
        "requests": {"reviewers": list(reviewers)},
        "criteria": [
            {"id": name, "source": "scorecard", **CRITERIA[name], side: bound}
            for name, (side, bound) in bounds.items()
        ],
    }
    return write_text(path, yaml.safe_dump(told, allow_unicode=True, sort_keys=False))


def refusal(act: Callable[[], Any]) -> str:
    """The message with which an act is refused; empty if it is not."""
    try:
        act()
    except UsageError as error:
        return str(error)
    return ""


def queue_table(book: Any) -> pd.DataFrame:
    """Of each request, what it asks for, its state, and the version that was made for it."""
    rows = {
        request.id: {
            "asks for": request.rule,
            "state": request.state,
            "version": request.version or "–",
        }
        for request in book.requests.values()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def entry_bytes(entries: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """The entries of a log as they are hashed: canonical JSON."""
    how: dict[str, Any] = {"sort_keys": True, "ensure_ascii": False, "separators": (",", ":")}
    return [json.dumps(entry, **how).encode() for entry in entries]


def criteria_table(certificate: Mapping[str, Any]) -> pd.DataFrame:
    """Of each criterion of a certificate, what it asks, what was found, and its result."""
    lines = {}
    for criterion in certificate["criteria"]:
        side = "at_least" if "at_least" in criterion else "at_most"
        lines[criterion["id"]] = {
            "found": criterion["found"][0]["value"],
            "bound": f"{side.replace('_', ' ')} {criterion[side]:g}".replace("-", "−"),
            "result": criterion["result"],
        }
    return pd.DataFrame.from_dict(lines, orient="index")


def found(certificate: Mapping[str, Any], name: str) -> float:
    """What a certificate found for a criterion."""
    return next(c for c in certificate["criteria"] if c["id"] == name)["found"][0]["value"]


def shadow_table(counts: Mapping[str, Any]) -> pd.DataFrame:
    """Of a shadow comparison, how many answers changed, by what the pictures show."""
    others = counts["changed"] - counts["asked"]
    rows = {"asked to be forgotten": counts["asked"], "others": others}
    return pd.DataFrame({"changed answers": rows})


def show_page(page: Path, title: str) -> None:
    """Show a page inside a notebook, as a document of its own and without scripts."""
    from IPython.display import display

    source = html.escape(page.read_text(encoding="utf-8"))
    frame = (
        f'<iframe title="{html.escape(title)}" sandbox srcdoc="{source}" '
        'style="width:100%;height:40rem;border:1px solid #8888;background:#fff"></iframe>'
    )
    display({"text/html": frame, "text/plain": title}, raw=True)
