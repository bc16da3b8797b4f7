"""Making a version: a killed run goes on, nothing is done twice, and failures are told apart."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml
from support_certificate import write_keys, write_policy
from support_killed import MOMENTS
from support_requests import KEPT, approved_registry, file_and_approve

from erasekit.certificate.verification import verify
from erasekit.errors import RunError, UsageError
from erasekit.files import read_json, sha256_file
from erasekit.requests import making
from erasekit.requests.filing import change_policy
from erasekit.requests.making import Pass, run_once, run_requests, verify_version
from erasekit.requests.registry_folder import Registry
from erasekit.requests.rollout import promote
from erasekit.runs.run_folder import CERTIFICATE, RunFolder
from erasekit.settings import make_settings


def said(registry: Registry) -> Counter[str]:
    return Counter(entry["what"] for entry in registry.log.entries)


@pytest.mark.parametrize("at", ["run", "erase", "made"])
@pytest.mark.parametrize("after", [False, True])
def test_a_run_killed_at_any_step_goes_on(
    tmp_path: Path,
    erasings: list[str],
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
    assert erasings == ["fruit"]


def test_a_full_disk_leaves_the_request_to_be_tried_again(
    tmp_path: Path, erasings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = approved_registry(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise RunError("cannot write: No space left on device") from OSError(errno.ENOSPC, "full")

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


def failing(monkeypatch: pytest.MonkeyPatch, culprit: str, real) -> None:
    """Erasing fails whenever one thing is among the forgotten."""

    def erase(settings, *given, **more):
        if culprit in settings.forget:
            raise RunError("step 7: the loss is not finite")
        return real(settings, *given, **more)

    monkeypatch.setattr(making, "run_erase", erase)


@pytest.mark.parametrize("culprit", ["fruit", "banana"])
def test_of_several_requests_only_the_one_that_makes_erasing_fail_has_failed(
    tmp_path: Path, erasings: list[str], monkeypatch: pytest.MonkeyPatch, culprit: str
) -> None:
    registry = approved_registry(tmp_path)
    names = {"fruit": "r1", "banana": file_and_approve(registry, "banana")}
    failing(monkeypatch, culprit, making.run_erase)
    version, failed = run_requests(registry)
    good = next(rule for rule in names if rule != culprit)
    assert version is not None
    assert (version.batch, erasings) == ((names[good],), [good])
    verify_version(registry)
    assert registry.book.requests[names[good]].state == "verified"
    if culprit == "fruit":  # the first one: it failed before the other was made
        assert failed == {"r1": "step 7: the loss is not finite"}
    else:  # the next call comes to it, with the one in force beside it
        assert failed == {} and registry.book.requests["r2"].state == "approved"
        again, failed = run_requests(registry)
        assert (again, failed) == (None, {"r2": "step 7: the loss is not finite"})
    assert registry.book.requests[names[culprit]].state == "failed"
    assert said(registry)["split"] == said(registry)["fail"] == 1
    assert run_requests(registry) == (None, {})


def test_a_run_killed_after_a_split_goes_on_with_one_request(
    tmp_path: Path, erasings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = approved_registry(tmp_path)
    file_and_approve(registry, "banana")
    add = Registry.add

    def killed(self, decide):
        done = add(self, decide)
        if done["what"] == "split":
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        failing(patch, "banana", making.run_erase)
        patch.setattr(Registry, "add", killed)
        run_requests(registry)
    version, _ = run_requests(Registry(registry.folder))
    assert version is not None
    assert version.batch == ("r1",)


def test_a_damaged_picture_fails_its_request_and_does_not_block_the_others(
    tmp_path: Path, erasings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = approved_registry(tmp_path)

    def read(*_: object, **__: object) -> None:
        raise RunError("a.png cannot be read") from OSError("image file is truncated")  # Pillow's

    with monkeypatch.context() as patch, pytest.raises(RunError, match="cannot be read"):
        patch.setattr(making, "run_erase", read)
        run_requests(registry)
    assert registry.book.requests["r1"].state == "failed"
    name = file_and_approve(registry, "banana")
    version, _ = run_requests(registry)
    assert version is not None
    assert version.batch == (name,)


def test_verified_by_the_policy_and_signed(tmp_path: Path, erasings: list[str]) -> None:
    registry = approved_registry(tmp_path)
    with pytest.raises(UsageError, match="no version waits"):
        verify_version(registry)
    run_requests(registry)
    version, found = verify_version(registry)
    assert (version.stage, found["result"]) == ("candidate", "met")
    assert found["signer"] is not None
    assert (registry.run_folder("v1") / CERTIFICATE).is_file()
    assert registry.book.requests["r1"].state == "verified"


def test_a_policy_that_is_not_met_fails_the_requests(tmp_path: Path, erasings: list[str]) -> None:
    registry = approved_registry(tmp_path, at_most=-1)
    run_requests(registry)
    version, found = verify_version(registry)
    assert (version.stage, found["result"]) == ("failed", "not met")
    assert registry.log.entries[-1]["why"] == "policy not met: kept"
    assert registry.book.requests["r1"].state == "failed"


def test_a_later_version_forgets_what_earlier_ones_did(
    tmp_path: Path, erasings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = approved_registry(tmp_path)
    run_requests(registry)
    verify_version(registry)
    file_and_approve(registry, "banana")
    asked = []

    def stop(registry, version, _):
        asked.append(making.version_settings(registry, version).forget)
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "_erase", stop)
    with pytest.raises(KeyboardInterrupt):
        run_requests(registry)
    assert asked == ["fruit,banana"]
    assert registry.book.versions["v2"].requests == ("r1", "r2")


def test_a_request_that_has_become_impossible_fails_alone_and_the_others_go_on(
    tmp_path: Path, erasings: list[str]
) -> None:
    """By the policy, by the data, and beside the other requests."""
    registry = approved_registry(tmp_path)  # fruit
    kept, all_else = file_and_approve(registry, "owl"), file_and_approve(registry, "bird")
    rules = {"name": "p", "purpose": "p", "requests": {"keep": ["owl"]}, "criteria": [KEPT]}
    (tmp_path / "keep.yaml").write_text(yaml.safe_dump(rules))
    change_policy(registry, str(tmp_path / "keep.yaml"), "owls are ours")
    file_and_approve(registry, "banana")
    version, failed = run_requests(registry)
    assert version is not None
    assert version.batch == ("r1", "r4")
    assert erasings == ["fruit,banana"]
    assert set(failed) == {kept, all_else}
    assert "includes owl, which the policy keeps" in failed[kept]
    states = {r.id: r.state for r in registry.book.requests.values()}
    assert states == {"r1": "processing", kept: "failed", all_else: "failed", "r4": "processing"}
    entry = registry.log.entries[registry.book.requests[kept].entries[-1]]
    assert (entry["what"], entry["why"]) == ("impossible", failed[kept])


def test_of_requests_that_leave_too_little_together_the_later_one_fails(
    tmp_path: Path, erasings: list[str]
) -> None:
    registry = approved_registry(tmp_path)
    later = file_and_approve(registry, "owl")
    version, failed = run_requests(registry)
    assert version is not None
    assert version.batch == ("r1",)
    assert failed[later].startswith("with r1: ")
    assert "at least 4 must stay" in failed[later]
    assert run_requests(registry, [])[1] == {}


def test_without_a_possible_request_no_version_is_made(
    tmp_path: Path, erasings: list[str], own_folder: Path, own_parameters: dict
) -> None:
    """Pictures that left the folder cannot be erased from a model that saw them."""
    data = tmp_path / "data"
    shutil.copytree(own_folder, data)
    settings = make_settings("smoke", **{**own_parameters, "data": f"folder:{data}"})
    policy = write_policy(tmp_path / "policy.yaml", KEPT)
    registry = Registry.create(tmp_path / "reg", settings, str(policy), write_keys(tmp_path)[0])
    pictures = [p.relative_to(data).as_posix() for p in sorted(data.rglob("*.png"))]
    chosen = [pictures[0], pictures[-1]]
    (tmp_path / "list.txt").write_text("\n".join(chosen))
    file_and_approve(registry, f"files={tmp_path / 'list.txt'}")
    table = next(data.glob("*.csv"))
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if chosen[0] not in line))
    version, failed = run_requests(registry)
    assert version is None
    assert failed == {"r1": "only 1 of its 2 pictures are in the data"}
    assert (erasings, list(registry.book.versions)) == ([], ["v0"])
    assert registry.book.requests["r1"].state == "failed"


def test_what_is_in_force_must_still_be_in_the_data(
    tmp_path: Path, erasings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = approved_registry(tmp_path)
    run_requests(registry)
    verify_version(registry)
    name = file_and_approve(registry, "banana")
    real = making.selected

    def without_fruit(settings):
        asked, missing = real(settings)
        return (set(list(asked)[:1]) if settings.forget == "fruit" else asked), missing

    monkeypatch.setattr(making, "selected", without_fruit)
    with pytest.raises(UsageError, match=r"r1 is in force, but only 1 of its \d+ pictures"):
        run_requests(registry)
    assert registry.book.requests[name].state == "approved"


def test_one_pass_does_all_that_waits(tmp_path: Path, erasings: list[str]) -> None:
    registry = approved_registry(tmp_path)
    run_requests(registry)
    file_and_approve(registry, "banana")
    done = run_once(registry)
    assert [(v.id, found["result"]) for v, found in done.verified] == [("v1", "met"), ("v2", "met")]
    assert run_once(registry) == Pass()
    with registry.working():
        assert run_once(Registry(registry.folder)) == Pass(busy=True)


def test_one_pass_finishes_what_was_interrupted(
    tmp_path: Path, erasings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = approved_registry(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(making, "_erase", Mock(side_effect=KeyboardInterrupt))
        run_once(registry)
    assert registry.book.versions["v1"].stage == "started"
    file_and_approve(registry, "banana")
    assert [v.id for v, _ in run_once(registry).verified] == ["v1", "v2"]
    assert erasings == ["fruit", "fruit,banana"]


def test_a_version_compared_with_an_earlier_policy_is_verified_again(
    tmp_path: Path, erasings: list[str]
) -> None:
    registry = approved_registry(tmp_path)
    run_requests(registry)
    verify_version(registry)
    promote(registry)
    looser = write_policy(tmp_path / "looser.yaml", {**KEPT, "about": "The rest is there."})
    change_policy(registry, str(looser), "clearer words")
    with pytest.raises(UsageError, match="v1 was compared with an earlier policy"):
        promote(registry)
    version, found = verify_version(registry)
    assert (version.stage, found["result"]) == ("canary", "met")
    with pytest.raises(UsageError, match="no version waits"):
        verify_version(registry)
    assert promote(registry)[0].stage == "live"


def test_a_version_that_does_not_meet_the_new_policy_has_failed(
    tmp_path: Path, erasings: list[str]
) -> None:
    registry = approved_registry(tmp_path)
    run_requests(registry)
    verify_version(registry)
    change_policy(
        registry, str(write_policy(tmp_path / "s.yaml", {**KEPT, "at_most": -1})), "stricter"
    )
    assert verify_version(registry)[0].stage == "failed"
    assert registry.book.requests["r1"].state == "failed"
    with pytest.raises(UsageError, match="v1 is failed"):
        promote(registry, "v1")


@pytest.mark.slow
def test_workers_that_are_killed_or_two_at_once_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, tiny_experiment: object
) -> None:
    """Real processes and SIGKILL; the next worker goes on, and the log agrees with the files."""
    _ = tiny_experiment.original, tiny_experiment.oracle  # type: ignore[attr-defined]
    folders = {}
    for number, moment in enumerate([*MOMENTS, "two at once"]):
        home = tmp_path / str(number)
        home.mkdir()
        steps = 51 if moment == "after a checkpoint" else 3  # there is one after 50
        folders[moment] = approved_registry(home, steps=steps).folder
    script = Path(__file__).with_name("support_killed.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        input=json.dumps({moment: str(folder) for moment, folder in folders.items()}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    ended = json.loads(done.stdout)
    assert ended.pop("two at once") == [0, 0]
    assert ended == {moment: [-signal.SIGKILL, 0] for moment in MOMENTS}
    for moment, folder in folders.items():
        registry = Registry(folder)
        counts = said(registry)
        assert {w: counts[w] for w in ("run", "made", "verify", "fail")} == {
            "run": 1,
            "made": 1,
            "verify": 1,
            "fail": 0,
        }, moment
        assert registry.book.requests["r1"].state == "verified", moment
        run = RunFolder.open(registry.run_folder("v1"))
        assert sha256_file(run.path / "manifest.json") == next(
            e["manifest_sha256"] for e in registry.log.entries if e["what"] == "made"
        )
        assert not verify(run.path).problems, moment
        assert read_json(folder / "aliases.json")["candidate"]["version"] == "v1", moment
        assert sorted(p.name for p in (folder / "runs").iterdir()) == ["v1"], moment
