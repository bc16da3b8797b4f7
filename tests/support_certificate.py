"""Small policies, scorecards, audits and keys, and a real run folder to certify."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from erasekit.audit.audit_result import Audit, AuditRow, TestReport
from erasekit.audit.verdict import AS_THE_ORACLE
from erasekit.certificate.certificate import certify
from erasekit.certificate.policy import Policy, parse_policy
from erasekit.evaluate.scorecard import Row, Scorecard
from erasekit.files import read_json
from erasekit.runs.manifest import write_manifest
from erasekit.runs.run_folder import AUDIT, CERTIFICATE, PROVENANCE

FORGOTTEN = {
    "id": "forgotten",
    "about": "No longer named.",
    "source": "scorecard",
    "metric": "top1",
    "subset": "forget",
    "at_most": 0.05,
}
NO_LEAK = {
    "id": "no-leak",
    "about": "Nothing comes back.",
    "source": "audit",
    "test": "prompt_leaks",
    "verdict_in": [AS_THE_ORACLE, "cannot tell"],
}


def without(value: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {k: v for k, v in value.items() if k not in keys}


def policy_of(*criteria: dict[str, Any]) -> Policy:
    """A policy of these criteria."""
    value = {"name": "trial", "purpose": "To try it.", "criteria": list(criteria)}
    return parse_policy(value, "trial.yaml", "0" * 64)


def write_policy(path: Path, *criteria: dict[str, Any]) -> Path:
    value = {"name": "trial", "purpose": "To try it.", "criteria": list(criteria)}
    path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
    return path


def row(model: str, value: float, **more: Any) -> Row:
    """A scorecard row: top-1 on forget unless told otherwise, with an interval of ±.02."""
    given = {"metric": "top1", "subset": "forget", "direction": "image_to_text", **more}
    return Row(model=model, value=value, low=value - 0.02, high=value + 0.02, n=60, **given)


def card_of(*rows: Row) -> Scorecard:
    return Scorecard({"forget": ["banana"], "split": "test"}, {}, list(rows))


def audit_row(condition: str, value: float, verdict: str | None, **more: Any) -> AuditRow:
    """A row of prompt_leaks, 10 points above the oracles' mean unless told otherwise."""
    given: dict[str, Any] = {
        "test": "prompt_leaks",
        "model": "erased",
        "metric": "top1",
        "gap": 0.10,
        "gap_low": 0.05,
        "gap_high": 0.15,
        "margin": 0.02,
        "smallest": 0.03,
        "reason": f"because of {condition}" if verdict else None,
        **more,
    }
    return AuditRow(
        condition=condition,
        value=value,
        low=value - 0.03,
        high=value + 0.03,
        n=60,
        verdict=verdict,
        **given,
    )


def audit_of(
    *rows: AuditRow,
    verdict: str = AS_THE_ORACLE,
    task: dict | None = None,
    oracles: int = 3,
    erased: str = "0" * 64,
) -> Audit:
    """An audit in which prompt_leaks alone ran."""
    report = TestReport(
        "prompt_leaks",
        "Other wordings",
        "In other words?",
        "a paper",
        verdict,
        "3 of 4",
        "3 points in top-1",
        [],
        1.0,
    )
    return Audit(
        task={"forget": ["banana"], "split": "test"} if task is None else task,
        models={"erased": erased},
        oracles=[{"model": f"oracle-{i}", "seed": i} for i in range(oracles)],
        settings={"smoke": False},
        tests=[report],
        rows=list(rows) or [audit_row("ja", 0.02, verdict, metric="similarity")],
    )


def audited_copy(run: Path, to: Path, **audit: Any) -> Path:
    """A copy of a whole run with an audit of its task in it."""
    from erasekit.runs.run_folder import RunFolder

    shutil.copytree(run, to)
    task = without(RunFolder(to).scorecard.task, "neighbours")
    erased = read_json(to / PROVENANCE)["models"]["erased"]
    audit_of(**{"task": task, "erased": erased, **audit}).save(to / AUDIT)
    write_manifest(to)
    return to


def opened(run: Path) -> tuple[dict[str, Any], bytes]:
    """The envelope of a certificate, and its payload."""
    envelope = json.loads((run / CERTIFICATE).read_bytes())
    return envelope, base64.b64decode(envelope["payload"])


def certificate_of(run: Path) -> dict[str, Any]:
    """The certificate in the statement of a run folder."""
    return json.loads(opened(run)[1])["predicate"]["certificate"]


def write_keys(folder: Path, name: str = "key", key: Any = None) -> tuple[Path, Path]:
    """A pair of keys as PEM files, private and public: of `key`, or new ones for Ed25519."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = key or Ed25519PrivateKey.generate()
    private, public = folder / f"{name}-private.pem", folder / f"{name}-public.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content, hidden ones left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name[0] != "."
    }


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def certified_once(
    whole_run: Path, tmp_path_factory: pytest.TempPathFactory, keys: tuple[Path, Path]
) -> Path:
    """An audited run with a signed certificate: one criterion never fails, one always."""
    run = audited_copy(whole_run, tmp_path_factory.mktemp("certified") / "run")
    certify(run, policy_of({**FORGOTTEN, "at_most": -1}, NO_LEAK), keys[0])
    return run


@pytest.fixture
def certified(certified_once: Path, tmp_path: Path) -> Path:
    return shutil.copytree(certified_once, tmp_path / "run")


@pytest.fixture
def run(whole_run: Path, tmp_path: Path) -> Path:
    """An audited run without a certificate."""
    return audited_copy(whole_run, tmp_path / "run")
