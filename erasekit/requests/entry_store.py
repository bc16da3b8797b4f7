"""The log in a database: entries are added with a signed checkpoint, in one transaction.

The states are computed from the entries, so a crash leaves either all of a change or nothing of
it. The entries are compared with the last checkpoint whenever they are read, and a changed,
removed or reordered entry is named. Needs SQLAlchemy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from erasekit.errors import RunError, UsageError, reason
from erasekit.extras import needed
from erasekit.requests.merkle_log import (
    Checkpoint,
    NoteError,
    leaf,
    read_checkpoint,
    read_verifier,
    root,
    roots,
    sign,
)
from erasekit.requests.states import Book
from erasekit.text import shown

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: How often a change is tried again when another process was faster.
TRIES = 50
#: What the driver for PostgreSQL is called, and what an address must be.
DRIVER = "postgresql+psycopg"
WANTED = f"the database must be {DRIVER}://USER@HOST/NAME"
#: How databases say that they cannot be written.
READ_ONLY = ("readonly", "read-only", "permission denied")


@dataclass(frozen=True)
class Log:
    """The entries of a log, in agreement with its last checkpoint.

    Attributes:
        entries: every entry, the oldest first.
        leaves: the hash of each.
        book: the states after the last entry.
        note: the last checkpoint, signed.
    """

    entries: list[dict[str, Any]]
    leaves: list[bytes]
    book: Book
    note: str


class EntryStore:
    """The entries and checkpoints in a database.

    Args:
        path: the SQLite file.
        verifier: the public key of the log, see `merkle_log.verifier`.
        address: the database instead of the file, such as
            ``postgresql+psycopg://user@host/name``, without a password.

    Raises:
        UsageError: when SQLAlchemy or the driver is not installed, or for an unsuitable address.
    """

    def __init__(self, path: Path, verifier: str, address: str = "") -> None:
        sql = needed("sqlalchemy", "requests", "the registry of requests")
        self.path, self._sql = path, sql
        self.name = address or str(path)
        self.origin, self._key = read_verifier(verifier)
        tables = sql.MetaData()
        self._entries = sql.Table(
            "entries",
            tables,
            sql.Column("place", sql.Integer, primary_key=True, autoincrement=False),
            sql.Column("body", sql.Text, nullable=False),
        )
        self._checkpoints = sql.Table(
            "checkpoints",
            tables,
            sql.Column("size", sql.Integer, primary_key=True, autoincrement=False),
            sql.Column("note", sql.Text, nullable=False),
        )
        self._tables = tables
        if address:
            self._engine = self._connected(address)
        else:
            self._engine = sql.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
        self._sqlite = not address

    def _connected(self, address: str) -> Any:
        """The engine of a PostgreSQL database; both reads of a log see the same moment."""
        try:
            parts = self._sql.make_url(address)
        except self._sql.exc.ArgumentError as error:
            raise UsageError(f"{WANTED}, not {shown(address)}") from error
        if parts.password is not None:
            raise UsageError(
                "the registry is read by others: leave the password out of the database's address, "
                "and keep it in ~/.pgpass or PGPASSWORD"
            )
        if parts.drivername != DRIVER:
            raise UsageError(f"{WANTED}, not {parts.drivername}")
        needed("psycopg", "postgresql", "a PostgreSQL database")
        return self._sql.create_engine(address, isolation_level="REPEATABLE READ")

    def create(self) -> None:
        """Make the empty tables.

        Raises:
            UsageError: when the database already has them, of another registry.
        """
        with self._told():
            if set(self._tables.tables) & set(self._sql.inspect(self._engine).get_table_names()):
                raise UsageError(
                    f"{self.name} already holds a log: give an empty database, or remove the "
                    f"tables {' and '.join(self._tables.tables)} if no registry uses them"
                )
            self._tables.create_all(self._engine)

    def close(self) -> None:
        """Close the file, before it is moved."""
        self._engine.dispose()

    def read(self) -> Log:
        """Read the entries and compare them with the last checkpoint.

        Raises:
            RunError: when the database is damaged, or an entry is not the signed one.
        """
        sql = self._sql
        if self._sqlite and not self.path.is_file():
            raise RunError(f"{self.path} is missing: put it back from a copy of the registry")
        with self._told(), self._engine.connect() as connection:
            if self._sqlite:
                connection.exec_driver_sql("BEGIN")  # both queries see the same moment
            rows = connection.execute(
                sql.select(self._entries).order_by(self._entries.c.place)
            ).all()
            size = self._checkpoints.c.size
            notes = sql.select(self._checkpoints).order_by(size.desc())
            last = connection.execute(notes.limit(1)).all()
            leaves = [leaf(body.encode()) for _, body in rows]
            self._compare(rows, leaves, last, lambda: connection.execute(notes).all()[::-1])
        try:
            entries = [json.loads(body) for _, body in rows]
            return Log(entries, leaves, Book(entries), last[0].note if last else "")
        except (ValueError, KeyError, TypeError, UsageError) as error:
            raise RunError(f"{self.name} is damaged: {reason(error)}") from error

    def add(
        self,
        decide: Callable[[Book], dict[str, Any]],
        who: str,
        key: Ed25519PrivateKey,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Log:
        """Add the entry that `decide` makes of the states, with the checkpoint after it.

        If another process adds an entry first, `decide` is asked again with the new states.

        Raises:
            UsageError: when the entry does not fit the states, or the registry is read-only.
            RunError: when it cannot be written; nothing is changed then.
        """
        for _ in range(TRIES):
            log = self.read()
            place = len(log.entries)
            # A clock that goes back must not reorder what happened.
            at = max(now().isoformat(timespec="seconds"), log.book.last)
            entry = {"place": place, "at": at, "who": who, **decide(log.book)}
            body = json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
            log.book.apply(entry)
            leaves = [*log.leaves, leaf(body.encode())]
            note = sign(Checkpoint(self.origin, place + 1, root(leaves)), key)
            try:
                with self._told(), self._engine.begin() as connection:
                    connection.execute(self._entries.insert().values(place=place, body=body))
                    connection.execute(self._checkpoints.insert().values(size=place + 1, note=note))
            except self._sql.exc.IntegrityError:
                continue  # another process was faster
            return Log([*log.entries, entry], leaves, log.book, note)
        raise RunError(f"{self.name}: other processes were faster {TRIES} times: try again")

    def checkpoint(self, note: str) -> Checkpoint:
        """The checkpoint in a note of this log; see `merkle_log.read_checkpoint`."""
        return read_checkpoint(note, self.origin, self._key)

    def _compare(
        self,
        rows: Sequence[Any],
        leaves: Sequence[bytes],
        last: Sequence[Any],
        all_notes: Callable[[], Sequence[Any]],
    ) -> None:
        """Refuse entries that are not those of the last checkpoint, and name the first."""
        for place, row in enumerate(rows):
            if row.place != place:
                raise RunError(self._blamed(f"entry {place} was removed"))
        if not last:
            if rows:
                raise RunError(self._blamed("its checkpoints were removed"))
            return
        try:
            kept = self.checkpoint(last[0].note)
            if (kept.size, kept.root) == (len(rows), root(leaves)):
                return
            computed, good = list(roots(leaves)), 0
            for _, note in all_notes():
                kept = self.checkpoint(note)
                if kept.size > len(rows):
                    raise RunError(self._blamed(f"the entries from {len(rows)} on were removed"))
                if kept.root != computed[kept.size]:
                    place = kept.size - 1
                    told = f"entry {place} {_fault(rows[place].body, place)}"
                    if good < place:  # checkpoints between were removed
                        told = f"one of the entries {good} to {place} was changed"
                    raise RunError(self._blamed(told))
                good = kept.size
        except NoteError as error:
            raise RunError(self._blamed(f"a checkpoint {error}")) from error
        raise RunError(self._blamed(f"entry {kept.size} has no checkpoint: it was added by hand"))

    def _blamed(self, what: str) -> str:
        return f"{self.name} was changed by hand: {what}. Put it back from a copy of the registry"

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the errors of the database into ours, except that another process was faster."""
        errors = self._sql.exc
        try:
            yield
        except errors.IntegrityError:
            raise
        except errors.SQLAlchemyError as error:
            cause = reason(getattr(error, "orig", None) or error)
            if any(words in cause for words in READ_ONLY):
                raise UsageError(
                    f"{self.name} is read-only: get the right to write there, or use a copy"
                ) from error
            raise RunError(f"{self.name} cannot be used: {cause}") from error


def _fault(body: str, place: int) -> str:
    """What happened to the entry that stands at a place now."""
    try:
        own = json.loads(body)["place"]
    except (ValueError, KeyError, TypeError):
        own = place
    return "was changed" if own == place else f"was removed or reordered: entry {own} is there"
