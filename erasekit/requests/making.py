"""Make a version that forgets what was approved, and verify it against the policy.

A version is erased from the original, of every request that was fulfilled before and of the new
ones. A later version therefore cannot bring back what an earlier one forgot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from erasekit.certificate.certificate import certify
from erasekit.certificate.policy import AuditCriterion
from erasekit.data.data_spec import FOLDER
from erasekit.errors import ErasekitError, RunError, UsageError
from erasekit.experiment.specs import make_plan
from erasekit.files import sha256_file
from erasekit.requests import filing
from erasekit.requests.filing import joined, selected
from erasekit.requests.registry_folder import BusyError, Registry
from erasekit.requests.states import (
    APPROVED,
    LIVE,
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
) -> tuple[Version | None, dict[str, str]]:
    """Make one version for the approved requests, or go on with one that was interrupted.

    A request that cannot be carried out fails alone, and the others go on. If a version of several
    requests fails, each of them gets a version of its own: the first here, the others by the
    next calls.

    Args:
        only: names of requests; by default all that are approved.

    Returns:
        The version, None if there is nothing to make; and why each request that failed alone did.

    Raises:
        UsageError: when a request in force is no longer in the data, or the version cannot be
            made. In the second case its requests have failed.
        RunError: when the disk or the machine fails; the same call goes on.
    """
    failed: dict[str, str] = {}
    with registry.working():
        registry.refresh()
        if (started := registry.book.staged(STARTED)) and only:
            raise UsageError(f"{started.id} was interrupted: `erasekit requests run` finishes it")
        while True:
            apart = set(registry.book.apart)
            if started is None:
                started, given_up = _start(registry, only)
                failed |= given_up
            if started is None:
                return None, failed
            why = _failure(registry, started, progress)
            if why is None:
                break
            several = len(started.batch) > 1
            entry = {"what": "split" if several else "fail", "version": started.id, "why": str(why)}
            registry.add(lambda _, entry=entry: entry)
            if not several:
                if not apart.intersection(started.batch):
                    raise why
                failed[started.batch[0]] = str(why)
            started, only = None, ()
        digest = sha256_file(registry.run_folder(started.id) / MANIFEST)
        made = {"what": "made", "version": started.id, "manifest_sha256": digest}
        registry.add(lambda _: made)
    return registry.book.version(started.id), failed


def _start(registry: Registry, only: Sequence[str]) -> tuple[Version | None, dict[str, str]]:
    """Begin the next version; None without a possible request. And why the impossible ones are."""
    batch = list(dict.fromkeys(only)) or _next(registry.book)
    if not batch:
        return None, {}
    registry.book.check(_started(registry.book, batch))
    failed = impossible(registry, batch)
    for name, why in failed.items():
        entry = {"what": "impossible", "request": name, "why": why}
        registry.add(lambda _, entry=entry: entry)
    batch = [name for name in batch if name not in failed]
    if not batch:
        return None, failed
    name = registry.add(lambda book: _started(book, batch))["version"]
    return registry.book.version(name), failed


def _next(book: Book) -> list[str]:
    """The approved requests, or the first of those that are to be tried alone."""
    approved = [request.id for request in book.in_state(APPROVED)]
    apart = [name for name in approved if name in book.apart]
    return apart[:1] or approved


def _failure(registry: Registry, version: Version, progress: bool) -> ErasekitError | None:
    """Erase; return why the version cannot be made, or None.

    Raises:
        RunError: when the disk or the machine fails, so that trying again may help.
    """
    try:
        _erase(registry, version, progress)
    except ErasekitError as error:
        # A damaged picture is an OSError too, but of Pillow's making: it has no error number, and
        # trying again would not help.
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno is not None:
            raise
        return error
    return None


def verify_version(registry: Registry, *, progress: bool = True) -> tuple[Version, dict]:
    """Compare the new version with the policy, and certify it with the key of the registry.

    Without a new one, it is a candidate or canary that was compared with an earlier policy. An
    audit runs first if the policy asks for one.

    Returns:
        The version, verified or failed, and its certificate.

    Raises:
        UsageError: when no version waits, or its files were changed.
        RunError: when the run is damaged.
    """
    with registry.working():
        registry.refresh()
        version = registry.book.unverified()
        if version is None:
            raise UsageError("no version waits to be verified: `erasekit requests run` makes one")
        path, policy = registry.run_folder(version.id), registry.policy
        tests = {c.test for c in policy.criteria if isinstance(c, AuditCriterion)}
        if tests - _audited(path):
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


@dataclass
class Pass:
    """What a pass of `run_once` did.

    Attributes:
        verified: each version that was compared with the policy, and its certificate.
        failed: why each request that failed alone did.
        busy: whether it ended because another process was at work.
    """

    verified: list[tuple[Version, dict]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    busy: bool = False


def run_once(registry: Registry, *, progress: bool = True) -> Pass:
    """Do all that waits: finish, verify, make one version of what is approved, and verify it.

    Raises:
        UsageError, RunError: as `run_requests` and `verify_version`.
    """
    done = Pass()
    try:
        registry.refresh()
        if registry.book.staged(STARTED):
            run_requests(registry, progress=progress)
        if registry.book.unverified():
            done.verified.append(verify_version(registry, progress=progress))
        made, done.failed = run_requests(registry, progress=progress)
        if made is not None:
            done.verified.append(verify_version(registry, progress=progress))
    except BusyError:
        done.busy = True
    return done


def impossible(registry: Registry, batch: Sequence[str]) -> dict[str, str]:
    """The requests of a batch that cannot be carried out, with the reason for each.

    Each is checked alone first, and then together with those in force.

    Raises:
        UsageError: when a request in force is no longer in the data.
    """
    book, found = registry.book, {}
    before = _in_force(book, batch)
    for name in before:
        if lost := _lost(registry, name, allowed=False):
            raise UsageError(
                f"{name} is in force, but {lost}: put the data back as it was, since every "
                "version is erased from the original"
            )
    for name in batch:
        if lost := _lost(registry, name, allowed=True):
            found[name] = lost
    fit = [*before, *(name for name in batch if name not in found)]
    if not (fit[len(before) :] and _refusal(registry, fit)):
        return found
    fit = before
    for name in (name for name in batch if name not in found):
        if why := _refusal(registry, [*fit, name]):
            found[name] = f"with {', '.join(fit)}: {why}" if fit else why
        else:
            fit = [*fit, name]
    return found


def _lost(registry: Registry, name: str, *, allowed: bool) -> str:
    """Why a request cannot be carried out as it was filed; empty if it can."""
    request = registry.book.requests[name]
    filed = registry.log.entries[request.entries[0]]["selected"]
    try:
        if allowed:
            there = len(filing.allowed(registry, request.rule)[0])
        else:
            there = len(selected(registry.settings(joined(registry, [request.rule])))[0])
    except UsageError as error:
        return str(error)
    return "" if there >= filed else f"only {there:,} of its {filed:,} pictures are in the data"


def _refusal(registry: Registry, names: Sequence[str]) -> str:
    """Why these requests cannot be forgotten all at once; empty if they can."""
    rules = [registry.book.requests[name].rule for name in names]
    try:
        settings = registry.settings(joined(registry, rules))
        make_plan(settings)
        if settings.data.startswith(FOLDER):
            selected(settings)
            from erasekit.experiment.kinds import make_experiment

            _ = make_experiment(settings, progress=False).task.forget
    except UsageError as error:
        return str(error)
    return ""


def _in_force(book: Book, batch: Sequence[str]) -> list[str]:
    return [request.id for request in book.in_state(VERIFIED, LIVE) if request.id not in batch]


def _started(book: Book, batch: Sequence[str]) -> dict:
    return {
        "what": "run",
        "version": f"v{len(book.versions)}",
        "batch": list(batch),
        "requests": [*_in_force(book, batch), *batch],
    }


def _audited(path: Path) -> set[str]:
    """The tests of an audit in a run folder."""
    if not (path / AUDIT).is_file():
        return set()
    from erasekit.audit.audit_result import Audit

    return {report.name for report in Audit.load(path / AUDIT).tests}


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
