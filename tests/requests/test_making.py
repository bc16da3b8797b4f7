"""Making a version: a killed run goes on, nothing is done twice, and failures are told apart."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from support_requests import approved_registry, file_and_approve

from erasekit.errors import RunError, UsageError
from erasekit.requests import making
from erasekit.requests.making import run_requests, verify_version
from erasekit.requests.registry_folder import Registry
from erasekit.runs.run_folder import CERTIFICATE


@pytest.fixture
def erasings(whole_run: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were erased into; each is a copy of a run that forgets fruit."""
    done: list[Path] = []

    def erase(settings, out: Path, **_: object) -> None:
        assert settings.forget == "fruit"
        shutil.copytree(whole_run, out, dirs_exist_ok=True)
        done.append(out)

    monkeypatch.setattr(making, "run_erase", erase)
    return done


def said(registry: Registry) -> Counter[str]:
    return Counter(entry["what"] for entry in registry.log.entries)


@pytest.mark.parametrize("at", ["run", "erase", "made"])
@pytest.mark.parametrize("after", [False, True])
def test_a_run_killed_at_any_step_goes_on(
    tmp_path: Path,
    erasings: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    at: str,
    after: bool,
) -> None:
    """Killed before or after an entry is written, or before or after the erasing."""
    registry = approved_registry(tmp_path)
    add, erase = Registry.add, making.run_erase

    def killed_add(self, decide):
        if decide(self.book)["what"] != at:
            return add(self, decide)
        if after:
            add(self, decide)
        raise KeyboardInterrupt

    def killed_erase(*given, **more):
        if after:
            erase(*given, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if at == "erase":
            patch.setattr(making, "run_erase", killed_erase)
        else:
            patch.setattr(Registry, "add", killed_add)
        run_requests(registry)
    again = Registry(registry.folder)
    run_requests(again)
    run_requests(again)  # there is nothing left to do
    assert again.book.versions["v1"].stage == "made"
    assert again.book.requests["r1"].state == "processing"
    assert (said(again)["run"], said(again)["made"], len(erasings)) == (1, 1, 1)


def test_a_full_disk_leaves_the_request_to_be_tried_again(
    tmp_path: Path, erasings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = approved_registry(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise RunError("cannot write: No space left on device") from OSError()

    with monkeypatch.context() as patch, pytest.raises(RunError):
        patch.setattr(making, "run_erase", full)
        run_requests(registry)
    assert registry.book.requests["r1"].state == "processing"
    run_requests(registry)
    assert registry.book.versions["v1"].stage == "made"


def test_what_cannot_be_carried_out_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = approved_registry(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise UsageError("nothing is left to retain")

    monkeypatch.setattr(making, "run_erase", refuse)
    with pytest.raises(UsageError, match="nothing is left"):
        run_requests(registry)
    assert registry.book.requests["r1"].state == "failed"
    assert registry.log.entries[-1]["why"] == "nothing is left to retain"


def test_verified_by_the_policy_and_signed(tmp_path: Path, erasings: list[Path]) -> None:
    registry = approved_registry(tmp_path)
    with pytest.raises(UsageError, match="no version waits"):
        verify_version(registry)
    run_requests(registry)
    version, found = verify_version(registry)
    assert (version.stage, found["result"]) == ("candidate", "met")
    assert found["signer"] is not None
    assert (registry.run_folder("v1") / CERTIFICATE).is_file()
    assert registry.book.requests["r1"].state == "verified"


def test_a_policy_that_is_not_met_fails_the_requests(tmp_path: Path, erasings: list[Path]) -> None:
    registry = approved_registry(tmp_path, at_most=-1)
    run_requests(registry)
    version, found = verify_version(registry)
    assert (version.stage, found["result"]) == ("failed", "not met")
    assert registry.log.entries[-1]["why"] == "policy not met: kept"
    assert registry.book.requests["r1"].state == "failed"


def test_a_later_version_forgets_what_earlier_ones_did(
    tmp_path: Path, erasings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = approved_registry(tmp_path)
    run_requests(registry)
    verify_version(registry)
    file_and_approve(registry, "owl")
    asked = []

    def stop(registry, version, _):
        asked.append(making.version_settings(registry, version).forget)
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "_erase", stop)
    with pytest.raises(KeyboardInterrupt):
        run_requests(registry)
    assert asked == ["fruit,owl"]
    assert registry.book.versions["v2"].requests == ("r1", "r2")
