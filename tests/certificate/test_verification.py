"""Verifying: whatever changed is found and named, and agreement is not oversold."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support_certificate import (
    FORGOTTEN,
    NO_LEAK,
    audit_of,
    certificate_of,
    opened,
    policy_of,
    snapshot,
    write_keys,
)

import erasekit.certificate.verification as verification
from erasekit.certificate.certificate import certify, statement
from erasekit.certificate.signature import enveloped, signed
from erasekit.certificate.verification import verify
from erasekit.errors import RunError, UsageError
from erasekit.runs.manifest import MANIFEST, write_manifest
from erasekit.runs.run_folder import AUDIT, CERTIFICATE, CERTIFICATE_PAGE


def flip(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def forge(run: Path, **changes: object) -> None:
    """Change the certificate and seal it again, as somebody who knows how would."""
    payload = statement({**certificate_of(run), **changes})
    (run / CERTIFICATE).write_bytes(enveloped(payload, opened(run)[0]["signatures"]))


def test_an_untouched_folder_agrees_and_stays_untouched(
    certified: Path, keys: tuple[Path, Path]
) -> None:
    before = snapshot(certified)
    found = verify(certified, keys[1])
    assert found.problems == []
    assert found.certificate["result"] == "not met"
    assert found.notes == [f"signed by the owner of the key {found.certificate['signer']}"]
    assert snapshot(certified) == before


def test_a_folder_agrees_elsewhere_and_when_its_report_is_made_again(
    certified: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(certified, tmp_path / "another name")
    (moved / "report.html").unlink()
    (moved / "03.ipynb").write_text("{}", encoding="utf-8")
    assert verify(moved).problems == []


def test_one_flipped_bit_in_any_file_is_found_and_the_file_is_named(
    certified: Path, keys: tuple[Path, Path]
) -> None:
    names = snapshot(certified).keys() - {"report.html"}
    assert {CERTIFICATE, CERTIFICATE_PAGE, MANIFEST, AUDIT, "history.csv"} <= names
    for name in names:
        flip(certified / name)
        try:
            problems = verify(certified, keys[1]).problems
        except RunError as error:  # a certificate that is no JSON any more
            assert name == CERTIFICATE
            problems = [str(error)]
        assert len(problems) == 1, name
        assert name in problems[0]
        flip(certified / name)
    assert verify(certified, keys[1]).problems == []


def test_no_byte_of_a_certificate_can_be_flipped_unseen(
    certified: Path, keys: tuple[Path, Path]
) -> None:
    path = certified / CERTIFICATE
    size = path.stat().st_size
    for place in range(0, size, max(1, size // 300)):
        flip(path, place)
        try:
            problems = verify(certified, keys[1]).problems
            assert any(problem.startswith(f"{CERTIFICATE}: ") for problem in problems)
        except RunError as error:
            assert CERTIFICATE in str(error)
        flip(path, place)


def test_spaces_in_a_certificate_are_a_change(certified: Path) -> None:
    path = certified / CERTIFICATE
    path.write_text(json.dumps(json.loads(path.read_bytes())), encoding="utf-8")
    assert verify(certified).problems == [f"{CERTIFICATE}: changed since it was made"]


def test_added_and_missing_files_are_named(certified: Path) -> None:
    (certified / "figures").mkdir(exist_ok=True)
    (certified / "figures" / "new.png").write_bytes(b"x")
    (certified / "history.csv").unlink()
    assert verify(certified).problems == [
        "figures/new.png: added since the folder was certified",
        "history.csv: missing since the folder was certified",
    ]


def test_a_later_audit_makes_a_certificate_stale(certified: Path) -> None:
    said = f"{AUDIT}: made or changed after the certificate, which does not cover it: certify again"
    audit = (certified / AUDIT).read_bytes()
    audit_of(verdict="cannot tell").save(certified / AUDIT)
    assert verify(certified).problems == [said]
    (certified / AUDIT).unlink()
    assert verify(certified).problems == [f"{AUDIT}: missing since the folder was certified"]
    write_manifest(certified)
    certify(certified, policy_of(FORGOTTEN))
    assert verify(certified).problems == []
    (certified / AUDIT).write_bytes(audit)
    assert verify(certified).problems == [said]


# --- what the certificate says --------------------------------------------------------


def test_a_result_that_does_not_follow_from_the_files_is_found(certified: Path) -> None:
    content = certificate_of(certified)
    better = [{**criterion, "result": "met"} for criterion in content["criteria"]]
    forge(certified, criteria=better, result="met")
    assert verify(certified).problems[:2] == [
        f"{CERTIFICATE}: says that 'forgotten' is met; by the files it is not met",
        f"{CERTIFICATE}: says met; by the files it is not met",
    ]


def test_a_page_that_says_something_else_is_found(certified: Path) -> None:
    page = certified / CERTIFICATE_PAGE
    page.write_text(page.read_text(encoding="utf-8").replace("not met", "met"), encoding="utf-8")
    assert verify(certified).problems == [
        f"{CERTIFICATE_PAGE}: is not the page of this certificate"
    ]
    page.unlink()
    assert verify(certified).problems == [f"{CERTIFICATE_PAGE}: missing"]


def test_a_page_of_another_version_is_not_compared(
    certified: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "__version__", "99.0")
    (certified / CERTIFICATE_PAGE).write_text("another layout", encoding="utf-8")
    found = verify(certified)
    assert found.problems == []
    assert "this 99.0 cannot compare it" in found.notes[0]


# --- signatures -----------------------------------------------------------------------


def test_without_a_key_a_signature_is_not_said_to_be_good(certified: Path) -> None:
    found = verify(certified)
    assert found.problems == []
    assert "the signature was not checked" in found.notes[0]


def test_a_signature_by_somebody_else_is_found(certified: Path, tmp_path: Path) -> None:
    private, public = write_keys(tmp_path, "other")
    said = f"{CERTIFICATE}: is not signed by this key"
    assert verify(certified, public).problems == [said]
    signer = verify(certified).certificate["signer"]
    certify(certified, policy_of(FORGOTTEN), private)
    assert verify(certified, public).problems == []
    assert verify(certified).certificate["signer"] != signer


def test_a_forged_certificate_is_not_the_signed_one(
    certified: Path, keys: tuple[Path, Path]
) -> None:
    forge(certified, made="2020-01-01T00:00:00+00:00")
    assert f"{CERTIFICATE}: is not signed by this key" in verify(certified, keys[1]).problems


def test_a_signature_cannot_be_taken_off(certified: Path, keys: tuple[Path, Path]) -> None:
    payload = opened(certified)[1]
    (certified / CERTIFICATE).write_bytes(enveloped(payload, []))
    for public in (None, keys[1]):
        problem = verify(certified, public).problems[-1]
        assert problem.startswith(f"{CERTIFICATE}: has no signature, and names the key")


def test_an_unsigned_certificate_says_so(run: Path, keys: tuple[Path, Path]) -> None:
    certify(run, policy_of(FORGOTTEN, NO_LEAK))
    found = verify(run)
    assert found.problems == []
    assert found.notes == [
        "not signed: this shows that no file has changed since, not who made them"
    ]
    assert verify(run, keys[1]).problems == [f"{CERTIFICATE}: is not signed"]
    (run / CERTIFICATE).write_bytes(enveloped(opened(run)[1], [{"keyid": "k", "sig": "AAAA"}]))
    assert f"{CERTIFICATE}: has a signature, and was made without one" in verify(run).problems


def test_the_signer_named_is_the_one_who_signed(certified: Path, keys: tuple[Path, Path]) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key: Any = load_pem_private_key(keys[0].read_bytes(), password=None)
    payload = statement({**certificate_of(certified), "signer": "0" * 64})
    (certified / CERTIFICATE).write_bytes(signed(payload, key))
    assert (
        f"{CERTIFICATE}: names another key than the one that signed it"
        in verify(certified, keys[1]).problems
    )


@pytest.mark.parametrize("forged", [False, True])
def test_public_tools_verify_a_certificate_without_erasekit(
    certified: Path, keys: tuple[Path, Path], forged: bool
) -> None:
    """securesystemslib is what in-toto and TUF verify with."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    if forged:
        forge(certified, result="met")
    value = json.loads((certified / CERTIFICATE).read_bytes())
    public: Any = load_pem_public_key(keys[1].read_bytes())
    key = SSlibKey.from_crypto(public, keyid=value["signatures"][0]["keyid"])
    envelope = Envelope.from_dict(value)
    if forged:
        with pytest.raises(VerificationError):
            envelope.verify([key], 1)
    else:
        assert envelope.verify([key], 1).keys() == {key.keyid}
        assert json.loads(envelope.payload)["predicate"]["result"] == "FAILED"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_alone_verifies_a_signature(
    certified: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    envelope, payload = opened(certified)
    head = f"DSSEv1 28 application/vnd.in-toto+json {len(payload)} ".encode()
    (tmp_path / "signed").write_bytes(head + payload)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))

    def check() -> int:
        line = f"openssl pkeyutl -verify -pubin -inkey {keys[1]} -rawin -in signed -sigfile sig"
        return subprocess.run(line.split(), cwd=tmp_path, capture_output=True).returncode

    assert check() == 0
    flip(tmp_path / "signed")
    assert check() != 0


# --- what cannot be verified ----------------------------------------------------------


def test_folders_without_a_certificate(certified: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        verify(tmp_path / "none")
    (certified / CERTIFICATE).unlink()
    with pytest.raises(UsageError, match=r"has no certificate.json: make one"):
        verify(certified)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "is not a certificate"),
        ('{"version":1}', "is of an earlier erasekit, without an envelope: certify again"),
        ('{"payload":"W10=","signatures":[]}', "is not a certificate"),
        ('{"payload":"%","signatures":[]}', "is not a certificate"),
    ],
)
def test_a_damaged_certificate(text: str, words: str, certified: Path) -> None:
    (certified / CERTIFICATE).write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=words) as caught:
        verify(certified)
    assert str(certified / CERTIFICATE) in str(caught.value)


def test_public_keys_that_do_not_do(
    certified: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="is not a public key in PEM form"):
        verify(certified, keys[0])
    with pytest.raises(UsageError, match="cannot read the key"):
        verify(certified, tmp_path / "none.pem")
