"""Verify that a certified run folder still matches its certificate.

We compare the files with their hashes, the results with the folder's numbers and the policy in
the certificate, the page with the certificate, and the certificate with its signature.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erasekit import __version__
from erasekit.certificate import signature
from erasekit.certificate.certificate import PAGE, VERSION, certified_files, stated, statement
from erasekit.certificate.certificate_page import render
from erasekit.certificate.policy import parse_policy
from erasekit.errors import ErasekitError, RunError, UsageError
from erasekit.files import read_json
from erasekit.runs.manifest import changes, check_files
from erasekit.runs.run_folder import AUDIT, CERTIFICATE, SCORECARD
from erasekit.text import shown

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


@dataclass(frozen=True)
class Verification:
    """Result of the verification of a run folder.

    Attributes:
        certificate: the certificate in the statement in `certificate.json`.
        problems: mismatches, one line each, with the file first.
        notes: limits of the verification.
    """

    certificate: dict[str, Any]
    problems: list[str]
    notes: list[str]


def verify(path: Path, public_key: Path | None = None) -> Verification:
    """Find all changes since a folder was certified. Modifies nothing.

    Args:
        path: the certified folder.
        public_key: PEM file of the Ed25519 key that must have signed it.

    Raises:
        UsageError: when there is no certificate, or the key is unsuitable.
        RunError: when the certificate is damaged or of another version.
    """
    path = Path(path)
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder: give the folder of a run")
    if not (path / CERTIFICATE).is_file():
        raise UsageError(f"{path} has no {CERTIFICATE}: make one with erasekit certify")
    public = signature.load_public_key(public_key) if public_key is not None else None
    content, payload, signatures = _read(path / CERTIFICATE)
    written = (path / CERTIFICATE).read_bytes()
    if not _is_whole(content, signatures, written):
        return Verification(content, [f"{CERTIFICATE}: changed since it was made"], [])
    problems = _check_files(path, content["files"]) or _check_results(path, content)
    problems = problems or _check_run(path)
    notes = []
    for wrong, note in (
        _check_page(path / PAGE, content, written),
        _check_signature(content["signer"], signatures, payload, public),
    ):
        (problems if wrong else notes).extend([note] if note else [])
    return Verification(content, problems, notes)


def _read(path: Path) -> tuple[dict[str, Any], bytes, list[dict[str, str]]]:
    """Return the certificate in an envelope, its payload, and its signatures."""
    envelope = read_json(path)
    if isinstance(envelope, dict) and "version" in envelope:
        raise RunError(f"{path} is of an earlier erasekit, without an envelope: certify again")
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        content = stated(payload)
        version = content["version"]
        signatures = [{"keyid": s["keyid"], "sig": s["sig"]} for s in envelope["signatures"]]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is not a certificate") from error
    if version != VERSION:
        raise RunError(f"{path} has version {shown(str(version))}: this reads {VERSION}")
    return content, payload, signatures


def _is_whole(content: dict[str, Any], signatures: list[dict[str, str]], written: bytes) -> bool:
    """Whether erasekit writes exactly these bytes for this certificate."""
    try:
        return signature.enveloped(statement(content), signatures) == written
    except (KeyError, TypeError, ValueError):  # not the structure of a certificate
        return False


def _check_files(folder: Path, certified: dict[str, str]) -> list[str]:
    later = "made or changed after the certificate, which does not cover it: certify again"
    return [
        f"{name}: {later if stale else f'{what} since the folder was certified'}"
        for name, what in changes(certified, certified_files(folder)).items()
        for stale in [name == AUDIT and what != "missing"]
    ]


def _check_results(folder: Path, content: dict[str, Any]) -> list[str]:
    """Evaluate the results again with the policy in the certificate, and compare."""
    from erasekit.audit.audit_result import Audit
    from erasekit.certificate.judgement import judge, overall
    from erasekit.evaluate.scorecard import Scorecard

    policy = parse_policy(content["policy"], CERTIFICATE, content["policy_sha256"])
    scorecard = Scorecard.load(folder / SCORECARD)
    audit = Audit.load(folder / AUDIT) if AUDIT in content["files"] else None
    judged = {c.id: judge(c, scorecard, audit) for c in policy.criteria}
    results = {name: each.result for name, each in judged.items()}
    said = {criterion["id"]: criterion["result"] for criterion in content["criteria"]}
    problems = [
        f"{CERTIFICATE}: says that '{name}' is {said.get(name)}; by the files it is {result}"
        for name, result in results.items()
        if said.get(name) != result
    ]
    if content["result"] != (result := overall(list(judged.values()))):
        problems.append(f"{CERTIFICATE}: says {content['result']}; by the files it is {result}")
    return problems


def _check_run(folder: Path) -> list[str]:
    """Return contradictions in the run's own records."""
    try:
        check_files(folder)
    except ErasekitError as error:
        return [str(error)]
    return []


# The checks of page and signature return whether there is a problem, and a message if any.


def _check_page(page: Path, content: dict[str, Any], written: bytes) -> tuple[bool, str]:
    if not page.is_file():
        return True, f"{PAGE}: missing"
    if content["erasekit"] != __version__:
        return False, (
            f"{PAGE} was made by erasekit {content['erasekit']}, and this {__version__} cannot "
            f"compare it: rely on {CERTIFICATE}"
        )
    if page.read_bytes() != render(content, hashlib.sha256(written).hexdigest()).encode():
        return True, f"{PAGE}: is not the page of this certificate"
    return False, ""


def _check_signature(
    signer: str | None,
    signatures: list[dict[str, str]],
    payload: bytes,
    public: Ed25519PublicKey | None,
) -> tuple[bool, str]:
    if signer is None:
        if signatures:
            return True, f"{CERTIFICATE}: has a signature, and was made without one"
        if public is not None:
            return True, f"{CERTIFICATE}: is not signed"
        return False, "not signed: this shows that no file has changed since, not who made them"
    if not signatures:
        return True, f"{CERTIFICATE}: has no signature, and names the key {signer}"
    if public is None:
        return False, (
            f"names the key {signer}, but the signature was not checked: give --public-key, "
            "with a key that you have from its owner and not from the folder"
        )
    if not signature.is_signed_by(public, signatures, payload):
        return True, f"{CERTIFICATE}: is not signed by this key"
    if {signature.fingerprint(public), *(s["keyid"] for s in signatures)} != {signer}:
        return True, f"{CERTIFICATE}: names another key than the one that signed it"
    return False, f"signed by the owner of the key {signer}"
