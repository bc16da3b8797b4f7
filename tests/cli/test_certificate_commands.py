"""`certify` and `verify` as a person meets them: by exit code and words."""

from __future__ import annotations

from pathlib import Path

import pytest
from support_certificate import FORGOTTEN, NO_LEAK, audited_copy, write_keys, write_policy
from support_cli import answers_to, ask, check_refused

from erasekit.cli import app as cli
from erasekit.runs.manifest import write_manifest
from erasekit.runs.run_folder import AUDIT, CERTIFICATE_PAGE

ALWAYS = {**FORGOTTEN, "at_most": 1}
NEVER = {**FORGOTTEN, "id": "never", "at_most": -1}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def run(whole_run: Path, tmp_path: Path) -> Path:
    """An audited run without a certificate."""
    return audited_copy(whole_run, tmp_path / "run")


def test_certify_and_verify_as_processes(
    run: Path, tmp_path: Path, keys: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    policy = write_policy(tmp_path / "policy.yaml", NO_LEAK)
    done = ask("certify", run, "--policy", policy, "--key", keys[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "The policy “trial” is met: 1 of 1 criteria.",
        f"certificate: {run / CERTIFICATE_PAGE}",
    ]
    assert cli.run(["verify", str(run), "--public-key", str(keys[1])]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    signed, agrees = shown.out.splitlines()
    assert signed.startswith("signed by the owner of the key ")
    assert agrees.startswith(f"{run} agrees with its certificate: ")
    assert agrees.endswith("The policy “trial” is met: 1 of 1 criteria.")
    (run / "history.csv").write_text("step\n", encoding="utf-8")
    done = ask("verify", run, "--public-key", keys[1])
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "history.csv: changed since the folder was certified"
    assert done.stdout.splitlines()[-1] == f"{run} does not agree with its certificate."


def test_what_is_not_met_or_not_tested_is_listed_with_code_1(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / AUDIT).unlink()
    write_manifest(run)
    policy = write_policy(tmp_path / "policy.yaml", NEVER, NO_LEAK)
    assert cli.run(["certify", str(run), "--policy", str(policy)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("not met: never: ")
    assert lines[0].replace("\N{NO-BREAK SPACE}", " ").endswith(", asked: at most −100.0 %")
    assert lines[1].startswith("not tested: no-leak: the run was not audited")
    assert "of 2 criteria, 1 not met and 1 not tested" in lines[2]
    # The folder agrees with its certificate, which is no pass all the same, and says so.
    assert cli.run(["verify", str(run)]) == 0
    note, agrees = capsys.readouterr().out.splitlines()
    assert note.startswith("not signed: ")
    assert "of 2 criteria, 1 not met and 1 not tested" in agrees


def test_misuse_gets_one_line_and_code_2_before_torch_is_loaded(
    run: Path, tmp_path: Path, keys: tuple[Path, Path]
) -> None:
    good = write_policy(tmp_path / "good.yaml", ALWAYS)
    bad = write_policy(tmp_path / "bad.yaml", {**ALWAYS, "metric": "topp1"})
    cases = {
        "--policy": ["certify", run],
        "did you mean 'example'?": ["certify", run, "--policy", "exmaple"],
        f"{bad}: criterion 'forgotten': unknown metric": ["certify", run, "--policy", bad],
        "none is not a folder": ["certify", "none", "--policy", good],
        "cannot read the key": ["certify", run, "--policy", good, "--key", tmp_path / "k.pem"],
        "is not a private key": ["certify", run, "--policy", good, "--key", keys[1]],
        "nowhere is not a folder": ["verify", "nowhere"],
        f"{run} has no certificate.json": ["verify", run],
    }
    for words, answer in answers_to(cases, tmp_path).items():
        check_refused(answer, words)


def test_help_teaches_how_to_make_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["certify", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "openssl genpkey -algorithm ed25519 -out private.pem" in shown
    assert "openssl pkey -in private.pem -pubout -out public.pem" in shown
    assert cli.run(["verify", "--help"]) == 0
    assert "Examples" in capsys.readouterr().out
