"""The certificate of a run folder: content and creation.

`certificate.json` is a DSSE envelope around an in-toto Statement. Its subjects are the model's
files, and its predicate is a test result. The field `certificate` of the predicate holds the
policy, the result of each criterion, the provenance of the run, and the sha256 of every file of
the folder. The exceptions are the certificate's own files, the manifest, `report.html`, which is
made from the others, and files that may still change: hidden files, checkpoints and executed
notebooks.

The statement is canonical JSON: keys sorted by code point, no spaces, UTF-8, numbers as written
by Python.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from erasekit import __version__
from erasekit.audit.names import AUDITED
from erasekit.certificate import signature
from erasekit.certificate.certificate_page import render
from erasekit.certificate.policy import Criterion, Policy, check_against_audit
from erasekit.errors import RunError, UsageError
from erasekit.files import read_json, write_bytes, write_text
from erasekit.runs.manifest import MANIFEST, covered_files
from erasekit.runs.run_folder import (
    AUDIT,
    CERTIFICATE,
    CHECKPOINT,
    MODEL,
    PROVENANCE,
    REPORT,
    REQUEST,
    SCORECARD,
    RunFolder,
)
from erasekit.runs.run_folder import CERTIFICATE_PAGE as PAGE

if TYPE_CHECKING:
    from erasekit.audit.audit_result import Audit
    from erasekit.certificate.judgement import Judgement

VERSION = 2
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
_NOT_COVERED = {CERTIFICATE, PAGE, MANIFEST, REPORT, CHECKPOINT}


def certify(path: Path, policy: Policy, key: Path | None = None) -> dict[str, Any]:
    """Check a run against a policy, and write its certificate and page into the folder.

    Replaces an existing certificate and its signature.

    Args:
        path: the folder of a complete run; audited, if the policy requires audit tests.
        policy: the policy.
        key: PEM file of the Ed25519 private key; None for an unsigned certificate.

    Returns:
        The certificate in the statement; its ``result`` is met, not met or not tested.

    Raises:
        UsageError: for a folder without a run, unknown test names, or an unsuitable key.
        RunError: when the run is interrupted or damaged, or its model is not the evaluated one.
    """
    folder = RunFolder.open(path)
    private = signature.load_private_key(key) if key is not None else None
    if key is not None and Path(key).resolve().is_relative_to(folder.path.resolve()):
        raise UsageError(f"{key} is inside the run folder, which will be shared: move it out")
    check_against_audit(policy)
    with folder.locked():
        check_weights(folder)
        signer = signature.fingerprint(private.public_key()) if private else None
        payload = statement(_content(folder, policy, signer))
        written = signature.signed(payload, private)
        content = stated(payload)  # the page shows the content of the file, in its order
        page = render(content, hashlib.sha256(written).hexdigest())
        write_bytes(folder.path / CERTIFICATE, written)
        write_text(folder.path / PAGE, page)
    return content


def certified_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file that a certificate covers, by path in the folder."""

    def counts(name: PurePath) -> bool:
        return str(name) not in _NOT_COVERED and (len(name.parts) > 1 or name.suffix != ".ipynb")

    return covered_files(folder, counts)


def statement(content: dict[str, Any]) -> bytes:
    """Return the in-toto Statement of a certificate, and add the certificate's own hash."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    results = {criterion["id"]: criterion["result"] for criterion in content["criteria"]}
    predicate = {
        # An untested policy has not passed.
        "result": "PASSED" if content["result"] == "met" else "FAILED",
        "configuration": [
            {"name": content["policy"]["name"], "digest": {"sha256": content["policy_sha256"]}}
        ],
        "passedTests": [name for name, result in results.items() if result == "met"],
        "warnedTests": [name for name, result in results.items() if result == "already met"],
        "failedTests": [name for name, result in results.items() if result.startswith("not")],
        "certificate": {**rest, "sha256": hashlib.sha256(_canonical(rest)).hexdigest()},
    }
    subject = [
        {"name": name, "digest": {"sha256": digest}}
        for name, digest in content["files"].items()
        if name.startswith(f"{MODEL}/")
    ]
    return _canonical(
        {
            "_type": STATEMENT,
            "subject": subject,
            "predicateType": PREDICATE,
            "predicate": predicate,
        }
    )


def stated(payload: bytes) -> dict[str, Any]:
    """Return the certificate in a statement."""
    return json.loads(payload)["predicate"]["certificate"]


def _content(folder: RunFolder, policy: Policy, signer: str | None) -> dict[str, Any]:
    from erasekit.audit.attack_registry import untried
    from erasekit.audit.audit_result import Audit
    from erasekit.certificate.judgement import judge, overall

    files = certified_files(folder.path)  # before reading: judges what was hashed
    scorecard = folder.scorecard
    audit = Audit.load(folder.path / AUDIT) if AUDIT in files else None
    if audit is not None and not audit.task.items() <= scorecard.task.items():
        raise RunError(
            f"{folder.path / AUDIT} is of another task than {SCORECARD}: run the audit again"
        )
    provenance = read_json(folder.path / PROVENANCE)
    if audit is not None and audit.models.get(AUDITED) != provenance["models"]["erased"]:
        raise RunError(
            f"{folder.path / AUDIT} is of another model than this run's: run the audit again"
        )
    judged = [judge(criterion, scorecard, audit) for criterion in policy.criteria]
    criteria = [_criterion(*each) for each in zip(policy.criteria, judged, strict=True)]
    ran = audit.measured if audit else set()
    return {
        "version": VERSION,
        "erasekit": __version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": folder.path.resolve().name,
        "policy": policy.as_dict(),
        "policy_sha256": policy.sha256,
        "task": scorecard.task,
        "request": read_json(folder.path / REQUEST) if REQUEST in files else None,
        "parameters": folder.params,
        "provenance": provenance,
        "audit": audit
        and [
            {"name": t.name, "title": t.title, "question": t.question, "verdict": t.verdict}
            for t in audit.tests
            if t.name in ran
        ],
        "result": overall(judged),
        "criteria": criteria,
        "not_tested": [
            {"name": test.name, "title": test.title, "question": test.question}
            for test in untried(folder.settings.kind, ran)
        ],
        "limits": _limits(scorecard.task, provenance, audit, criteria, signer),
        "signer": signer,
        "files": files,
    }


def _criterion(criterion: Criterion, judged: Judgement) -> dict[str, Any]:
    """Return a criterion, its result, and the format of its numbers."""
    from erasekit.audit.attack_registry import TESTS
    from erasekit.audit.verdict import CANNOT_TELL

    asked = criterion.as_dict()
    unit = {"similarity": "cosine", "membership_auc": "auc"}.get(asked.get("metric", ""), "share")
    if "test" in asked:
        unit = TESTS[asked["test"]].metric(asked["metric"]).unit if "metric" in asked else ""
    # Met because the policy accepts "cannot tell": this is no evidence.
    doubtful = judged.result == "met" and any(f.value == CANNOT_TELL for f in judged.found)
    return {**asked, "unit": unit, "doubtful": doubtful, **judged.as_dict()}


def _limits(
    task: dict, provenance: dict, audit: Audit | None, criteria: list[dict], signer: str | None
) -> list[str]:
    """List the limits of the certificate, general ones and those of this run."""
    limits = [
        "It states what was measured and proves nothing else: another attack than those named "
        "may find what these did not.",
        f"Everything was measured on the {task.get('split', '?')} split of the data set "
        f"{task.get('data', '?')}. Other pictures and other words may give other values.",
        "Every number is an estimate from a limited number of pictures; its interval says how "
        "far it may be off.",
        "Whether keeping these bounds fulfils a duty in law is not for a measurement to say.",
    ]
    forgotten = task.get("forget_languages", [])
    known = task.get("world", {}).get("languages", forgotten)
    if kept := [language for language in known if language not in forgotten]:
        limits.append(
            f"Only captions in {', '.join(forgotten)} were to be forgotten, not those in "
            f"{', '.join(kept)}."
        )
    if audit is None:
        limits.append("The run was not audited: no test of the audit stands behind it.")
    elif audit.settings.get("smoke"):
        limits.append("The audit ran in its short form, which misses more than the full one.")
    if audit is not None and len(audit.oracles) < 2:
        limits.append(
            f"The audit had {len(audit.oracles)} retrained models to compare with. Its verdicts "
            "need two or more, so that it could tell little."
        )
    if doubtful := [criterion["id"] for criterion in criteria if criterion["doubtful"]]:
        limits.append(
            "Met although the audit cannot tell, since the policy accepts that: "
            f"{', '.join(doubtful)}."
        )
    if provenance.get("commit") is None:
        limits.append("The run's code has no commit: its hash alone says which it was.")
    elif provenance.get("dirty"):
        limits.append("The run's code had changes beyond its commit; its hash says which it was.")
    if signer is None:
        limits.append(
            "It is not signed: the hashes show whether files have changed since, not who made them."
        )
    else:
        limits.append(
            "The signature shows whose key certified the folder. That the numbers came out as "
            "they stand is the signer's word; a second run with the same code can test it."
        )
    return limits


def check_weights(folder: RunFolder) -> None:
    """Refuse a folder whose model is not the evaluated one.

    Raises:
        RunError: for such a folder, or a damaged model.
    """
    made = read_json(folder.path / PROVENANCE).get("models", {}).get("erased")
    if folder.load_model().fingerprint() != made:
        raise RunError(
            f"{folder.path / MODEL} is not the model that was measured: its weights differ from "
            f"{PROVENANCE}"
        )


def _canonical(value: Any) -> bytes:
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()
