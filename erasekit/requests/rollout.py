"""Put a verified version in service, step by step, and take it back.

A verified version is the candidate. It is promoted to canary and then to live. A shadow comparison
asks a version and the live one the same queries, and lists the answers that differ.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from erasekit.certificate import signature
from erasekit.certificate.verification import verify
from erasekit.errors import RunError, UsageError
from erasekit.files import sha256_file, write_text
from erasekit.requests.filing import joined
from erasekit.requests.registry_folder import Registry
from erasekit.requests.states import CANARY, CANDIDATE, ORIGINAL, Version
from erasekit.runs.run_folder import RunFolder
from erasekit.text import no_formula

SHADOW = "shadow"
COLUMNS = ("picture", "asked for", "answer of the live model", "answer of the new model")


def promote(
    registry: Registry, name: str | None = None, queries: Path | None = None, why: str = ""
) -> tuple[Version, dict[str, Any] | None]:
    """Promote a version one step: candidate to canary, canary to live.

    Args:
        name: the version; by default the canary or, without one, the candidate.
        queries: a folder of pictures and captions for a shadow comparison with the live model.

    Returns:
        The version, and the counts of the shadow comparison.

    Raises:
        UsageError: when no version is verified, or it forgets less than the live one.
        RunError: when its files no longer agree with its certificate.
    """
    book = registry.book
    version = book.version(name) if name else book.staged(CANARY) or book.staged(CANDIDATE)
    if version is None:
        raise UsageError("no version is verified: `erasekit requests verify` comes first")
    entry: dict[str, Any] = {"what": "promote", "version": version.id, "why": why}
    book.check(entry)  # before anything slow
    path = registry.run_folder(version.id)
    found = verify(path)
    signer = signature.fingerprint(signature.load_private_key(registry.key).public_key())
    wrong = found.problems or [
        f"certificate.json: {told}"
        for right, told in (
            (found.certificate["result"] == "met", "the policy is not met"),
            (found.certificate["policy_sha256"] == registry.policy.sha256, "another policy"),
            (found.certificate["signer"] == signer, "signed by another key"),
        )
        if not right
    ]
    if wrong:
        raise RunError(f"{path} no longer agrees with its certificate: {wrong[0]}")
    if queries is not None:
        entry["shadow"] = shadow(registry, version, queries)
    live = book.live.id

    def decide(now: Any) -> dict[str, Any]:
        if now.live.id != live:
            raise UsageError(f"{now.live.id} became live meanwhile: promote again")
        return entry

    registry.add(decide)
    return registry.book.version(version.id), entry.get("shadow")


def rollback(registry: Registry, why: str) -> Version:
    """Make the version before the live one live again, and return it.

    Raises:
        UsageError: when there is none, or no reason is given.
    """
    if not why.strip():
        raise UsageError("say why the live model is taken back, with --why TEXT")
    registry.add(lambda book: {"what": "rollback", "version": book.live.id, "why": why})
    return registry.book.live


def shadow(registry: Registry, version: Version, queries: Path) -> dict[str, Any]:
    """Ask a version and the live model which caption belongs to each picture, and compare.

    The pictures whose answers differ are written to a CSV file in the registry.

    Returns:
        Counts: queries; changed answers; the changed ones among what was asked to be forgotten.
    """
    from erasekit.data.folder.check import read_folder
    from erasekit.experiment.kinds import make_experiment

    folder = RunFolder.open(registry.run_folder(version.id))
    if folder.settings.kind != "clip":
        raise UsageError("--queries: a shadow comparison takes a CLIP, not a language model")
    pairs = read_folder(queries, progress=False)
    live = registry.book.live.id
    if live == ORIGINAL:
        old = make_experiment(folder.settings, progress=False).original
    else:
        old = RunFolder.open(registry.run_folder(live)).load_model()
    captions = pairs.captions(range(len(pairs)))
    before, after = (_answers(clip, pairs, captions) for clip in (old, folder.load_model()))
    asked = _asked(registry, version, pairs)
    changed = [i for i in range(len(pairs)) if before[i] != after[i]]
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for i in changed:
        told = (pairs.path(i), "yes" if asked[i] else "no", before[i], after[i])
        table.writerow([no_formula(cell) for cell in told])
    path = write_text(registry.folder / SHADOW / f"{version.id}-{live}.csv", text.getvalue())
    return {
        "live": live,
        "queries": len(pairs),
        "changed": len(changed),
        "asked": sum(asked[i] for i in changed),
        "table": path.relative_to(registry.folder).as_posix(),
        "sha256": sha256_file(path),
    }


def _answers(clip: Any, pairs: Any, captions: Sequence[str]) -> list[str]:
    """The caption that a model finds for each picture, among the captions of all."""
    from erasekit.experiment.clip_experiment import image_size

    texts = list(dict.fromkeys(captions))
    written, size, found = clip.encode_texts(texts), image_size(clip), []
    for start in range(0, len(pairs), 256):
        pixels = pairs.pixels(range(start, min(start + 256, len(pairs))), size)
        found += (clip.encode_images(pixels) @ written.T).argmax(1).tolist()
    return [texts[i] for i in found]


def _asked(registry: Registry, version: Version, pairs: Any) -> list[bool]:
    """Whether each query shows what the requests of a version are for."""
    from erasekit.data.folder.selection import ask

    found = [False] * len(pairs)
    for name in version.requests:
        try:
            selected = ask(pairs, joined(registry, [registry.book.requests[name].rule])).selected
        except UsageError:  # none of the queries shows it
            continue
        found = [a or bool(b) for a, b in zip(found, selected, strict=True)]
    return found
