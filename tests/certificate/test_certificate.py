"""The certificate: true to the run, whole or absent, and never of a folder it should refuse."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from support_certificate import (
    FORGOTTEN,
    NO_LEAK,
    audit_of,
    audited_copy,
    certificate_of,
    opened,
    policy_of,
    snapshot,
    without,
    write_keys,
)
from support_tiny import TINY

import erasekit
from erasekit.audit.attack_registry import attacks_of
from erasekit.certificate.certificate import certify
from erasekit.errors import RunError, UsageError
from erasekit.files import read_json, sha256_folder, write_json
from erasekit.runs.erasing import run_erase
from erasekit.runs.manifest import MANIFEST, write_manifest
from erasekit.runs.run_folder import AUDIT, CERTIFICATE, CERTIFICATE_PAGE
from erasekit.settings import make_settings

ALWAYS = {**FORGOTTEN, "at_most": 1}
NEVER = {**FORGOTTEN, "id": "never", "at_most": -1}


def test_it_holds_what_was_asked_what_came_out_and_every_hash(run: Path) -> None:
    before = snapshot(run)
    policy = policy_of(ALWAYS, NO_LEAK)
    made = certify(run, policy)
    assert made == certificate_of(run)
    assert made["files"] == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in before.items()
        if name not in ("report.html", MANIFEST)
    }
    assert {"params.json", AUDIT, "model/open_clip_model.safetensors"} <= made["files"].keys()
    assert made["policy"] == policy.as_dict()
    assert made["provenance"] == json.loads(before["provenance.json"])
    assert made["parameters"] == json.loads(before["params.json"])
    card = json.loads(before["scorecard.json"])
    assert made["task"] == card["task"]
    top1 = next(
        row["value"]
        for row in card["rows"]
        if (row["model"], row["metric"], row["subset"]) == ("erased", "top1", "forget")
    )
    assert made["criteria"][0]["found"][0]["value"] == top1
    assert (made["result"], made["signer"]) == ("met", None)
    after = snapshot(run)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {CERTIFICATE, CERTIFICATE_PAGE}


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_it_is_a_statement_about_the_files_of_the_model(certified: Path) -> None:
    envelope, payload = opened(certified)
    stated = json.loads(payload)
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert stated["_type"] == "https://in-toto.io/Statement/v1"
    assert stated["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert {each["name"]: each["digest"]["sha256"] for each in stated["subject"]} == {
        f"model/{name}": digest for name, digest in sha256_folder(certified / "model").items()
    }
    assert stated["predicate"]["result"] == "FAILED"
    assert stated["predicate"]["passedTests"] == ["no-leak"]
    assert stated["predicate"]["failedTests"] == ["forgotten"]
    content = stated["predicate"]["certificate"]
    digest = hashlib.sha256(canonical(without(content, "sha256"))).hexdigest()
    assert content["sha256"] == digest
    assert (canonical(stated), canonical(envelope)) == (
        payload,
        (certified / CERTIFICATE).read_bytes(),
    )


def test_what_was_not_tested_did_not_pass(run: Path) -> None:
    certify(run, policy_of(ALWAYS, {**NO_LEAK, "test": "probes"}))
    predicate = json.loads(opened(run)[1])["predicate"]
    assert (predicate["result"], predicate["failedTests"]) == ("FAILED", ["no-leak"])
    certify(run, policy_of(ALWAYS, NO_LEAK))  # the original met the first one already
    predicate = json.loads(opened(run)[1])["predicate"]
    assert (predicate["passedTests"], predicate["warnedTests"]) == (["no-leak"], ["forgotten"])
    certify(run, policy_of(NO_LEAK))
    assert json.loads(opened(run)[1])["predicate"]["result"] == "PASSED"


@pytest.mark.parametrize(
    ("criteria", "result"),
    [
        ([ALWAYS, NO_LEAK], "met"),
        ([ALWAYS, NEVER], "not met"),
        ([ALWAYS, {**NO_LEAK, "test": "probes"}], "not tested"),
        ([NEVER, {**NO_LEAK, "test": "probes"}], "not met"),
    ],
)
def test_what_is_not_met_or_not_tested_is_no_pass(
    criteria: list[dict], result: str, run: Path
) -> None:
    assert certify(run, policy_of(*criteria))["result"] == result


def test_tests_that_did_not_run_are_named(run: Path) -> None:
    made = certify(run, policy_of(ALWAYS))
    assert [test["name"] for test in made["audit"]] == ["prompt_leaks"]
    untried = set(attacks_of("clip", "named")) - {"prompt_leaks"}
    assert {test["name"] for test in made["not_tested"]} == untried, "no test of single pictures"
    (run / AUDIT).unlink()
    write_manifest(run)
    made = certify(run, policy_of(ALWAYS))
    assert made["audit"] is None
    assert {test["name"] for test in made["not_tested"]} == set(attacks_of("clip"))


def test_a_test_that_measured_nothing_counts_as_not_tested(run: Path) -> None:
    audit = read_json(run / AUDIT)
    write_json(run / AUDIT, {**audit, "rows": []})
    write_manifest(run)
    made = certify(run, policy_of(ALWAYS, NO_LEAK))
    assert made["audit"] == []
    assert {test["name"] for test in made["not_tested"]} == set(attacks_of("clip"))
    assert [each["result"] for each in made["criteria"]] == ["already met", "not tested"]


@pytest.mark.parametrize("languages", ["", "ja,en"])
def test_the_languages_it_names_are_those_that_were_forgotten(
    languages: str, tmp_path: Path
) -> None:
    settings = make_settings("smoke", **TINY, forget_languages=languages)
    run = run_erase(settings, tmp_path / "run", progress=False).path
    made = certify(run, policy_of(ALWAYS))
    task = erasekit.load("smoke", progress=False, **TINY, forget_languages=languages).task
    world, asked = task.world.spec.languages, made["task"]["forget_languages"]
    assert set(asked) == set(task.forget.languages) and (len(asked) < len(world)) == bool(languages)
    page = (run / CERTIFICATE_PAGE).read_text(encoding="utf-8")
    said = f"{', '.join(asked)} ({len(asked)} of {len(world)} languages)"
    assert f"<th>captions in</th><td>{said}</td>" in page
    limit = "Only captions in ja, en were to be forgotten, not those in ru, ar."
    assert (limit in made["limits"]) == bool(languages)


def test_what_it_does_not_say_follows_the_run(
    run: Path, whole_run: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    def limits(folder: Path, key: Path | None = None) -> str:
        return " ".join(certify(folder, policy_of(NO_LEAK), key)["limits"])

    always = limits(run)
    assert "the test split of the data set openmoji" in always
    assert "not signed" in always
    assert "cannot tell" not in always
    assert "retrained models" not in always
    signed = limits(run, keys[0])
    assert "not signed" not in signed
    assert "the signer's word" in signed
    doubtful = audited_copy(whole_run, tmp_path / "doubt", verdict="cannot tell", oracles=1)
    assert "the policy accepts that: no-leak." in limits(doubtful)
    criteria = certify(doubtful, policy_of(ALWAYS, NO_LEAK))["criteria"]
    assert [criterion["doubtful"] for criterion in criteria] == [False, True]
    refusing = {**NO_LEAK, "verdict_in": ["as the oracle"]}
    assert not certify(doubtful, policy_of(refusing))["criteria"][0]["doubtful"]
    assert "had 1 retrained models" in limits(doubtful)
    (run / AUDIT).unlink()
    write_manifest(run)
    assert "was not audited" in limits(run)


def test_units_come_from_the_scorecard_and_the_audit(run: Path) -> None:
    similarity = {**FORGOTTEN, "id": "s", "metric": "similarity"}
    wording = {**without(NO_LEAK, "verdict_in"), "id": "w", "metric": "similarity", "at_most": 1}
    made = certify(run, policy_of(ALWAYS, similarity, wording))
    assert [criterion["unit"] for criterion in made["criteria"]] == ["share", "cosine", "cosine"]


def test_what_is_still_being_written_is_not_covered(run: Path) -> None:
    covered = certify(run, policy_of(ALWAYS))["files"]
    (run / "executed.ipynb").write_text("{}", encoding="utf-8")
    (run / ".scorecard.json.x1").write_text("{", encoding="utf-8")
    (run / ".ipynb_checkpoints").mkdir()
    (run / ".ipynb_checkpoints" / "a.txt").write_text("", encoding="utf-8")
    (run / "checkpoint.pt").write_bytes(b"")
    (run / "report.html").write_text("made again", encoding="utf-8")
    assert certify(run, policy_of(ALWAYS))["files"] == covered
    (run / "mine").mkdir()
    (run / "mine" / "notes.ipynb").write_text("{}", encoding="utf-8")
    assert certify(run, policy_of(ALWAYS))["files"].keys() - covered == {"mine/notes.ipynb"}


def test_a_second_certificate_replaces_the_first_with_its_signature(
    run: Path, keys: tuple[Path, Path]
) -> None:
    signed = certify(run, policy_of(ALWAYS), keys[0])
    assert [each["keyid"] for each in opened(run)[0]["signatures"]] == [signed["signer"]]
    assert len(signed["signer"]) == 64
    assert certify(run, policy_of(NEVER))["signer"] is None
    assert opened(run)[0]["signatures"] == []
    assert certificate_of(run)["result"] == "not met"


# --- what is refused ------------------------------------------------------------------


def refused(run: Path, key: Path | None = None) -> str:
    """The line with which it is refused; nothing may have been written."""
    before = snapshot(run) if run.is_dir() else {}
    with pytest.raises((UsageError, RunError)) as caught:
        certify(run, policy_of(ALWAYS), key)
    assert (snapshot(run) if run.is_dir() else {}) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_that_is_no_whole_run(run: Path, tmp_path: Path) -> None:
    assert "is not a folder" in refused(tmp_path / "none")
    (run / "scorecard.json").unlink()
    assert "interrupted run (no scorecard.json)" in refused(run)
    (run / "params.json").unlink()
    assert "is not the folder of a run" in refused(run)


def test_a_model_that_is_not_the_one_measured(run: Path) -> None:
    weights = run / "model" / "open_clip_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-100] ^= 1
    weights.write_bytes(content)
    assert f"{weights}: changed since the run was made" in refused(run)
    write_manifest(run)
    assert "is not the model that was measured" in refused(run)


def test_an_audit_of_another_task(run: Path) -> None:
    audit_of(task={"forget": ["something else"]}).save(run / AUDIT)
    write_manifest(run)
    assert f"{run / AUDIT} is of another task" in refused(run)
    (run / AUDIT).write_text("{", encoding="utf-8")
    write_manifest(run)
    assert "audit.json is damaged" in refused(run)


def test_an_audit_of_another_model(run: Path) -> None:
    value = read_json(run / AUDIT)
    value["models"]["erased"] = "1" * 64
    write_json(run / AUDIT, value)
    write_manifest(run)
    assert f"{run / AUDIT} is of another model" in refused(run)


def test_a_folder_behind_a_link(run: Path, tmp_path: Path) -> None:
    shutil.move(run / "figures", tmp_path / "elsewhere")
    (run / "figures").symlink_to(tmp_path / "elsewhere")
    assert f"{run / 'figures'} is a link" in refused(run)


def test_keys_that_do_not_do(run: Path, tmp_path: Path, keys: tuple[Path, Path]) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    def written(name: str, key, lock) -> Path:
        path = tmp_path / name
        path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
        )
        return path

    other = written("ec.pem", generate_private_key(SECP256R1()), serialization.NoEncryption())
    locked = written(
        "locked.pem", Ed25519PrivateKey.generate(), serialization.BestAvailableEncryption(b"word")
    )
    assert "an Ed25519 key is needed" in refused(run, other)
    assert "protected by a password" in refused(run, locked)
    assert "is not a private key in PEM form" in refused(run, keys[1])
    assert "cannot read the key" in refused(run, tmp_path / "none.pem")
    inside, _ = write_keys(run)
    assert "is inside the run folder" in refused(run, inside)


def test_without_cryptography_it_says_what_to_install(
    run: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives", None)
    assert "pip install 'erasekit[sign]'" in refused(run, keys[0])
    assert certify(run, policy_of(ALWAYS))["signer"] is None


def test_a_run_at_work_in_the_folder(run: Path) -> None:
    from erasekit.runs.run_folder import RunFolder

    with RunFolder(run).locked():
        assert "another run is at work" in refused(run)
