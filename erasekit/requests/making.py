"""Make a version that forgets what was approved, and verify it against the policy.

A version is erased from the original, of every request that was fulfilled before and of the new
ones. A later version therefore cannot bring back what an earlier one forgot.
"""

from __future__ import annotations

from collections.abc import Sequence

from erasekit.certificate.certificate import certify
from erasekit.certificate.policy import AuditCriterion
from erasekit.errors import ErasekitError, RunError, UsageError
from erasekit.files import sha256_file
from erasekit.requests.filing import joined
from erasekit.requests.registry_folder import Registry
from erasekit.requests.states import (
    APPROVED,
    LIVE,
    MADE,
    STARTED,
    VERIFIED,
    Book,
    Version,
)
from erasekit.runs.audits import run_audit
from erasekit.runs.erasing import run_erase
from erasekit.runs.manifest import AUDIT, MANIFEST
from erasekit.runs.run_folder import CERTIFICATE, RunFolder
from erasekit.settings import Settings


def run_requests(
    registry: Registry, only: Sequence[str] = (), *, progress: bool = True
) -> Version | None:
    """Make one version for the approved requests, or go on with one that was interrupted.

    Args:
        only: names of requests; by default all that are approved.

    Returns:
        The version; None if nothing is approved.

    Raises:
        UsageError: when a request cannot be carried out. The requests have then failed.
        RunError: when the disk or the machine fails; the same call goes on.
    """
    with registry.working():
        registry.refresh()
        started = registry.book.staged(STARTED)
        if started is None:
            for name in only:
                registry.book.request(name)
            if not only and not registry.book.in_state(APPROVED):
                return None
            name = registry.add(lambda book: _started(book, only))["version"]
            started = registry.book.version(name)
        elif only:
            raise UsageError(f"{started.id} was interrupted: `erasekit requests run` finishes it")
        try:
            _erase(registry, started, progress)
        except ErasekitError as error:
            if not isinstance(error.__cause__, OSError):  # trying again would not help
                failed = {"what": "fail", "version": started.id, "why": str(error)}
                registry.add(lambda _: failed)
            raise
        digest = sha256_file(registry.run_folder(started.id) / MANIFEST)
        made = {"what": "made", "version": started.id, "manifest_sha256": digest}
        registry.add(lambda _: made)
    return registry.book.version(started.id)


def verify_version(registry: Registry, *, progress: bool = True) -> tuple[Version, dict]:
    """Compare the new version with the policy, and certify it with the key of the registry.

    An audit runs first if the policy asks for one.

    Returns:
        The version, verified or failed, and its certificate.

    Raises:
        UsageError: when no version waits, or its files were changed.
        RunError: when the run is damaged.
    """
    with registry.working():
        registry.refresh()
        version = registry.book.staged(MADE)
        if version is None:
            raise UsageError("no version waits to be verified: `erasekit requests run` makes one")
        path, policy = registry.run_folder(version.id), registry.policy
        tests = {c.test for c in policy.criteria if isinstance(c, AuditCriterion)}
        if tests and not (path / AUDIT).is_file():
            run_audit(path, tests=sorted(tests), progress=progress)
        found = certify(path, policy, registry.key)
        what = "verify" if found["result"] == "met" else "fail"
        entry = {
            "what": what,
            "version": version.id,
            "result": found["result"],
            "certificate_sha256": sha256_file(path / CERTIFICATE),
        }
        if what == "fail":
            wrong = [c["id"] for c in found["criteria"] if c["result"] != "met"]
            entry["why"] = f"policy {found['result']}: {', '.join(wrong)}"
        registry.add(lambda _: entry)
    return registry.book.version(version.id), found


def _started(book: Book, only: Sequence[str]) -> dict:
    batch = list(dict.fromkeys(only)) or [request.id for request in book.in_state(APPROVED)]
    before = [request.id for request in book.in_state(VERIFIED, LIVE) if request.id not in batch]
    return {
        "what": "run",
        "version": f"v{len(book.versions)}",
        "batch": batch,
        "requests": [*before, *batch],
    }


def version_settings(registry: Registry, version: Version) -> Settings:
    """The settings that make a version: everything is forgotten at once."""
    rules = [registry.book.requests[name].rule for name in version.requests]
    return registry.settings(joined(registry, rules))


def _erase(registry: Registry, version: Version, progress: bool) -> None:
    """Erase, unless a command that was killed had finished it."""
    settings, path = version_settings(registry, version), registry.run_folder(version.id)
    if RunFolder(path).whole:
        folder = RunFolder.open(path)
        if folder.settings.forget != settings.forget:
            raise RunError(f"{path} holds another run: remove it, and run again")
        return
    run_erase(settings, path, progress=progress)
