"""The registry: whole or not there, and refused in one line when it is not what it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support_certificate import FORGOTTEN, write_keys, write_policy
from support_requests import file_by
from support_tiny import TINY

from erasekit.errors import RunError, UsageError
from erasekit.files import read_json, write_json
from erasekit.requests.registry_folder import ALIASES, CHECKPOINT, CONFIG, POLICY, Registry
from erasekit.settings import make_settings


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    policy = write_policy(tmp_path / "policy.yaml", FORGOTTEN)
    settings = make_settings("smoke", **TINY)
    return Registry.create(tmp_path / "reg", settings, str(policy), write_keys(tmp_path)[0], "ann")


def test_a_new_registry_serves_the_original(registry: Registry) -> None:
    assert read_json(registry.folder / ALIASES) == {"live": {"version": "v0", "model": None}}
    assert Registry(registry.folder).log.note == (registry.folder / CHECKPOINT).read_text()
    assert registry.settings("banana").forget == "banana"
    assert registry.settings("banana").concepts == TINY["concepts"]


def test_what_is_no_registry_or_a_newer_one_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a registry: make one with erasekit requests init"):
        Registry(tmp_path)
    config = read_json(registry.folder / CONFIG)
    write_json(registry.folder / CONFIG, {**config, "version": 2})
    with pytest.raises(UsageError, match=r"newer erasekit \(version 2; this one reads 1\): update"):
        Registry(registry.folder)


@pytest.mark.parametrize("name", [CONFIG, POLICY])
def test_a_file_changed_by_hand_is_named(registry: Registry, name: str) -> None:
    with (registry.folder / name).open("a") as file:
        file.write("\n")
    with pytest.raises(UsageError, match=f"{name} was changed since the registry was made"):
        Registry(registry.folder)


def test_an_older_copy_of_the_log_is_found_by_the_checkpoint(registry: Registry) -> None:
    log = registry.folder / "log.db"
    older = log.read_bytes()
    registry.add(file_by)
    log.write_bytes(older)
    with pytest.raises(RunError, match="the entries from 1 on were removed"):
        Registry(registry.folder)


def test_what_a_crash_left_behind_is_written_by_the_next_command(registry: Registry) -> None:
    for name in (ALIASES, CHECKPOINT):
        (registry.folder / name).write_text("half")
    again = Registry(registry.folder)
    assert (registry.folder / CHECKPOINT).read_text() == again.log.note
    assert json.loads((registry.folder / ALIASES).read_text())["live"]["version"] == "v0"


def test_an_entry_that_is_written_counts_though_the_files_beside_it_are_not(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise RunError("cannot write aliases.json: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "_write_aside", full)
        with pytest.warns(UserWarning, match="done, but cannot write"):
            registry.add(file_by)
    assert list(Registry(registry.folder).book.requests) == ["r1"]


def test_unsuitable_folders_keys_and_names_are_refused(registry: Registry, tmp_path: Path) -> None:
    settings, key = make_settings("smoke", **TINY), registry.key
    inside = registry.folder.with_name("inside") / "key.pem"
    for folder, given, words in (
        (registry.folder, key, "already holds a registry"),
        (tmp_path, key, "holds other files"),
        (tmp_path / "a,b", key, "a comma in the path"),
        (tmp_path / "new", tmp_path / "none.pem", "cannot read the key"),
        (inside.parent, inside, "cannot read the key"),
    ):
        with pytest.raises(UsageError, match=words):
            Registry.create(folder, settings, "example", given)
    with pytest.raises(UsageError, match="nobody is named"):
        Registry(registry.folder, " ")
    assert not (tmp_path / "new").exists()


def test_a_second_worker_is_refused(registry: Registry) -> None:
    with (
        registry.working(),
        pytest.raises(UsageError, match="another run is at work"),
        Registry(registry.folder).working(),
    ):
        pass


def test_the_log_may_be_in_a_database(
    tmp_path: Path, empty_database: Callable[[], str], registry: Registry
) -> None:
    """Everything that finds a change by hand holds there too."""
    settings, address = make_settings("smoke", **TINY), empty_database()
    policy = str(registry.folder / POLICY)
    given = (settings, policy, registry.key, "ann", address)
    made = Registry.create(tmp_path / "shared", *given)
    made.add(file_by)
    assert list(Registry(made.folder).book.requests) == ["r1"]
    assert not (made.folder / "log.db").exists()
    with pytest.raises(UsageError, match="already holds a log"):
        Registry.create(tmp_path / "other", *given)
    assert not list(tmp_path.glob("*other*"))
    with made._store._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM entries WHERE place = 1")
        connection.exec_driver_sql("DELETE FROM checkpoints WHERE size = 2")
    with pytest.raises(RunError, match=r"log.* was changed by hand: the entries from 1 on"):
        Registry(made.folder)
    made._store.close()
