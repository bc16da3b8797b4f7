"""The registry: a folder with the log, the policy, the settings and the models.

registry.json     the settings of every version, and the public key of the log
policy.yaml       the policy as it was when the registry was made
policies/         the policies that took its place, by their hashes
log.db            the entries and their checkpoints: the only place where states are kept; not
                  there if they are in a PostgreSQL database
checkpoint        the last checkpoint; copy it elsewhere to prove later that nothing changed
aliases.json      which version is live, canary and candidate, and where its model is
lists/            the lists of pictures of the requests
runs/v1/          the run folder of version v1, with its certificate
shadow/           comparisons of a version with the live one
"""

from __future__ import annotations

import contextlib
import getpass
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from erasekit.certificate import signature
from erasekit.certificate.policy import Policy, RequestRules, load_policy
from erasekit.checks import read_record
from erasekit.data.data_spec import FOLDER
from erasekit.errors import ErasekitError, RunError, UsageError, reason
from erasekit.files import read_json, sha256_file, write_json, write_text
from erasekit.locks import locked
from erasekit.requests.entry_store import EntryStore
from erasekit.requests.init_checks import check_settings
from erasekit.requests.merkle_log import verifier
from erasekit.requests.states import ORIGINAL, Book
from erasekit.runs.run_folder import MODEL
from erasekit.settings import Settings, make_settings

CONFIG, POLICY, DATABASE = "registry.json", "policy.yaml", "log.db"
CHECKPOINT, ALIASES, LISTS, RUNS = "checkpoint", "aliases.json", "lists", "runs"
POLICIES = "policies"
VERSION = 1
_LOCAL = "local-dir:"


class BusyError(UsageError):
    """Another process makes or verifies versions in the registry."""


@dataclass(frozen=True)
class _Config:
    settings: dict[str, Any]
    key: str
    verifier: str
    policy_sha256: str
    database: str = ""


class Registry:
    """An existing registry.

    Args:
        folder: the folder.
        who: the person who acts; by default the user of the system.

    Raises:
        UsageError: when there is none, it is of a newer erasekit, or a file was changed by hand.
        RunError: when it is damaged, or the log was changed.
    """

    def __init__(self, folder: Path, who: str | None = None) -> None:
        self.folder = Path(folder).resolve()
        self.who = acting(who)
        if not (self.folder / CONFIG).is_file():
            raise UsageError(
                f"{folder} is not a registry: make one with erasekit requests init {folder}"
            )
        found = read_json(self.folder / CONFIG)
        newer = found.get("version") if isinstance(found, dict) else None
        if isinstance(newer, int) and newer > VERSION:
            raise UsageError(
                f"{folder} was made by a newer erasekit (version {newer}; this one reads "
                f"{VERSION}): update erasekit"
            )
        self.config: _Config = read_record(self.folder / CONFIG, "a registry", VERSION, _Config)
        self._policies: dict[str, Policy] = {}
        self._store = EntryStore(self.folder / DATABASE, self.config.verifier, self.config.database)
        self.origin = self._store.origin
        self.log = self._store.read()
        self._check_files()
        with contextlib.suppress(RunError):  # a crash may have left them behind, or a full disk
            self._write_aside()

    @classmethod
    def create(
        cls,
        folder: Path,
        settings: Settings,
        policy: str,
        key: Path,
        who: str | None = None,
        database: str = "",
    ) -> Registry:
        """Make a registry whose live model is the original of these settings.

        Args:
            policy: a policy file, or the name of a shipped policy.
            key: PEM file of the Ed25519 private key that signs checkpoints and certificates.
            database: address of a PostgreSQL database for the log; empty for a SQLite file.

        Raises:
            UsageError: for an unsuitable folder, policy, key or database, or settings that cannot
                erase anything.
        """
        place = Path(folder).resolve()
        if (place / CONFIG).exists():
            raise UsageError(f"{folder} already holds a registry: give another folder")
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise UsageError(f"{folder} holds other files: give a new folder")
        if "," in str(place):
            raise UsageError(f"{folder}: a comma in the path would divide rules: give another path")
        check_settings(settings)
        asked = load_policy(policy)
        private = signature.load_private_key(key)
        if Path(key).resolve().is_relative_to(place):
            raise UsageError(f"{key} is inside the registry, which others read: move it out")
        line = verifier(f"erasekit.requests/{place.name}", private.public_key())
        stage = place.with_name(f".{place.name}.new")  # renamed at the end: whole, or not there
        store = EntryStore(stage / DATABASE, line, database)
        placed, pem = _placed(settings), str(Path(key).resolve())
        config = _Config(placed, pem, line, asked.sha256, database)
        try:
            shutil.rmtree(stage, ignore_errors=True)
            stage.mkdir(parents=True)
            shutil.copyfile(asked.origin, stage / POLICY)
            written = write_json(stage / CONFIG, {"version": VERSION, **asdict(config)})
            store.create()
            entry = {"what": "init", "config_sha256": sha256_file(written)}
            store.add(lambda _: entry, acting(who), private)
            store.close()
            stage.replace(place)
        except OSError as error:
            raise RunError(f"cannot write {folder}: {reason(error)}") from error
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        return cls(folder, who)

    @property
    def book(self) -> Book:
        return self.log.book

    @property
    def policy(self) -> Policy:
        """The policy in force.

        Raises:
            UsageError: when its file was changed or removed.
        """
        return self._policy_of(self.book.policy)

    def _policy_of(self, sha256: str) -> Policy:
        """The policy with a hash; without one, the policy that the registry was made with."""
        path = self.folder / POLICIES / f"{sha256}.yaml" if sha256 else self.folder / POLICY
        if (found := self._policies.get(sha256)) is None:
            found = self._policies[sha256] = load_policy(path)
        if found.sha256 != (sha256 or self.config.policy_sha256):
            raise UsageError(self._changed(path))
        return found

    @property
    def rules(self) -> RequestRules:
        return self.policy.requests or RequestRules()

    @property
    def key(self) -> Path:
        return Path(self.config.key)

    def settings(self, forget: str) -> Settings:
        """The settings of a version that forgets this."""
        return replace(make_settings(**self.config.settings), forget=forget)

    def run_folder(self, version: str) -> Path:
        return self.folder / RUNS / version

    def add(self, decide: Callable[[Book], dict[str, Any]]) -> dict[str, Any]:
        """Add the entry that `decide` makes of the states, sign it, and return it.

        Raises:
            UsageError: when the entry does not fit the states.
            RunError: when it cannot be written; nothing is changed then.
        """
        private = signature.load_private_key(self.key)
        self.log = self._store.add(decide, self.who, private)
        try:
            self._write_aside()
        except RunError as error:
            warnings.warn(f"done, but {error}: the next command writes it again", stacklevel=2)
        return self.log.entries[-1]

    def refresh(self) -> None:
        """Read the log again, after another process may have added to it."""
        self.log = self._store.read()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Refuse a second process that makes or verifies versions at the same time.

        Raises:
            BusyError: when another process does.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder, FileLock(self.folder / ".lock")))
            except UsageError as error:
                raise BusyError(str(error)) from error.__cause__
            yield

    def checkpoint(self, note: str) -> Any:
        """The checkpoint in a note of this log."""
        return self._store.checkpoint(note)

    def _check_files(self) -> None:
        wanted = self.log.entries[0]["config_sha256"] if self.log.entries else ""
        if sha256_file(self.folder / CONFIG) != wanted:
            raise UsageError(self._changed(self.folder / CONFIG))
        self._policy_of("")
        _ = self.policy
        kept = self.folder / CHECKPOINT
        if kept.is_file():
            try:
                size = self.checkpoint(kept.read_text(encoding="utf-8")).size
            except (RunError, UnicodeDecodeError):
                return  # is written again
            if size > len(self.log.entries):
                raise RunError(
                    f"{self._store.name} was changed by hand: the entries from "
                    f"{len(self.log.entries)} on were removed. Put it back from a copy"
                )

    @staticmethod
    def _changed(path: Path) -> str:
        mend = "or make another registry"
        if path.name != CONFIG:
            mend = "and use `erasekit requests policy` to change the policy"
        return f"{path} was changed since the registry was made: put it back as it was, {mend}"

    def _write_aside(self) -> None:
        """Write the files that others read, if they are not of the last entry."""
        models = {
            alias: {
                "version": version,
                "model": None if version == ORIGINAL else f"{RUNS}/{version}/{MODEL}",
            }
            for alias, version in self.book.aliases().items()
        }
        path = self.folder / ALIASES
        try:
            same = path.is_file() and read_json(path) == models
        except ErasekitError:
            same = False
        if not same:
            write_json(path, models)
        path = self.folder / CHECKPOINT
        if not path.is_file() or path.read_bytes() != self.log.note.encode():
            write_text(path, self.log.note)


def acting(who: str | None) -> str:
    """The name of the person who acts.

    Raises:
        UsageError: for an empty name, or when the system has none.
    """
    try:
        name = getpass.getuser() if who is None else who.strip()
    except (OSError, KeyError):
        name = ""
    if not name:
        raise UsageError("nobody is named: say who acts with --as NAME")
    return name


def _placed(settings: Settings) -> dict[str, Any]:
    """The settings with absolute paths, since commands may run in other folders."""
    told = asdict(settings)
    for name, prefix in (("data", FOLDER), ("model", _LOCAL), ("oracle_model", _LOCAL)):
        if told[name].startswith(prefix):
            path = Path(told[name].removeprefix(prefix)).expanduser().resolve()
            told[name] = f"{prefix}{path}"
    return told
