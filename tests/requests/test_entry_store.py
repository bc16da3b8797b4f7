"""The log: whole after any crash, one winner of two writers, and every change by hand is named."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, event
from support_requests import approve_by, file_by

from erasekit.errors import RunError, UsageError
from erasekit.requests.entry_store import EntryStore
from erasekit.requests.merkle_log import Checkpoint, leaf, root, sign, verifier

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LINE = verifier("test/log", KEY.public_key())


@pytest.fixture(params=["sqlite", "postgresql"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EntryStore]:
    """A log of an init, four requests, and a review of each."""
    address = ""
    if request.param == "postgresql":
        address = request.getfixturevalue("empty_database")()
    made = EntryStore(tmp_path / "log.db", LINE, address)
    made.create()
    made.add(lambda _: {"what": "init"}, "ann", KEY)
    for _ in range(4):
        made.add(file_by, "ann", KEY)
    for n in range(1, 5):
        made.add(lambda _, n=n: {"what": "review", "request": f"r{n}"}, "bob", KEY)
    yield made
    made.close()


only_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("store", ["postgresql"], indirect=True)


def reopened(store: EntryStore) -> EntryStore:
    """The same log as another process opens it."""
    return EntryStore(store.path, LINE, "" if store.name == str(store.path) else store.name)


def by_hand(store: EntryStore, *statements: str) -> None:
    with store._engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_what_is_added_is_read_again_with_a_signed_checkpoint(store: EntryStore) -> None:
    log = reopened(store).read()
    assert [e["what"] for e in log.entries] == ["init", *["add"] * 4, *["review"] * 4]
    assert {r.state for r in log.book.requests.values()} == {"in_review"}
    kept = store.checkpoint(log.note)
    assert (kept.size, kept.root) == (9, root(log.leaves))


TAMPERED = {
    "changed": (
        ["UPDATE entries SET body = replace(body, '\"ann\"', '\"eve\"') WHERE place = 3"],
        "entry 3 was changed",
    ),
    "removed": (["DELETE FROM entries WHERE place = 3"], "entry 3 was removed"),
    "removed and closed up": (
        [
            "DELETE FROM entries WHERE place = 3",
            "UPDATE entries SET place = place + 99 WHERE place > 3",
            "UPDATE entries SET place = place - 100 WHERE place > 99",
        ],
        "entry 3 was removed or reordered: entry 4 is there",
    ),
    "reordered": (
        [
            "UPDATE entries SET place = 99 WHERE place = 3",
            "UPDATE entries SET place = 3 WHERE place = 4",
            "UPDATE entries SET place = 4 WHERE place = 99",
        ],
        "entry 3 was removed or reordered: entry 4 is there",
    ),
    "cut off": (
        ["DELETE FROM entries WHERE place > 6"],
        "the entries from 7 on were removed",
    ),
    "added": (
        ["INSERT INTO entries SELECT place + 1, body FROM entries WHERE place = 8"],
        "entry 9 has no checkpoint",
    ),
    "without checkpoints": (["DELETE FROM checkpoints"], "its checkpoints were removed"),
    "changed where checkpoints were removed": (
        [
            "UPDATE entries SET body = replace(body, '\"ann\"', '\"eve\"') WHERE place = 3",
            "DELETE FROM checkpoints WHERE size IN (3, 4, 5)",
        ],
        "one of the entries 2 to 5 was changed",
    ),
    "checkpoint changed": (
        ["UPDATE checkpoints SET note = replace(note, 'log', 'lag') WHERE size = 9"],
        "a checkpoint is of another log",
    ),
}


@pytest.mark.parametrize(("statements", "words"), TAMPERED.values(), ids=TAMPERED)
def test_a_change_by_hand_is_named(store: EntryStore, statements: list[str], words: str) -> None:
    by_hand(store, *statements)
    with pytest.raises(RunError, match=words):
        store.read()
    with pytest.raises(RunError, match=words):
        store.add(file_by, "ann", KEY)


def test_an_entry_that_does_not_fit_is_not_written(store: EntryStore) -> None:
    with pytest.raises(UsageError, match="r1 is in_review: review takes"):
        store.add(lambda _: {"what": "review", "request": "r1"}, "bob", KEY)
    assert len(store.read().entries) == 9


@pytest.mark.parametrize("at", range(4))
def test_a_crash_at_any_statement_leaves_all_or_nothing(store: EntryStore, at: int) -> None:
    """Each write of a change is one statement: BEGIN and two inserts, then COMMIT."""
    count = [0]

    def crash(*_: object) -> None:
        count[0] += 1
        if count[0] == at + 1:
            raise KeyboardInterrupt

    names = ("before_cursor_execute", "after_cursor_execute")
    engine: Engine = store._engine
    reading = store.read()
    store.read = lambda: reading  # type: ignore[method-assign]
    for name in names:
        event.listen(engine, name, crash)
    with pytest.raises(KeyboardInterrupt):
        store.add(file_by, "ann", KEY)
    again = reopened(store)
    assert len(again.read().entries) == 9
    assert len(again.add(file_by, "ann", KEY).entries) == 10


def test_two_writers_add_everything_once(store: EntryStore) -> None:
    others = [reopened(store) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda s=s: [s.add(file_by, "ann", KEY) for _ in range(8)])
        for s in others
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = store.read()
    assert len(log.entries) == 9 + 16
    assert list(log.book.requests) == [f"r{n}" for n in range(1, 21)]


def test_of_two_who_decide_the_same_one_is_refused(store: EntryStore) -> None:
    """The slower one decides on what the faster one left."""
    first = [True]

    def slow(book):
        if first.pop() if first else False:
            reopened(store).add(approve_by("r1"), "dora", KEY)
        return approve_by("r1")(book)

    with pytest.raises(UsageError, match="r1 is approved"):
        store.add(slow, "carl", KEY)
    assert sum(e["what"] == "approve" for e in store.read().entries) == 1


def test_a_clock_that_goes_back_does_not_reorder(store: EntryStore) -> None:
    log = store.add(file_by, "ann", KEY, now=lambda: datetime(2000, 1, 1, tzinfo=UTC))
    times = [entry["at"] for entry in log.entries]
    assert times == sorted(times)
    assert times[-1] > "2020"


@only_sqlite
def test_a_read_only_registry_is_refused_in_one_line(store: EntryStore) -> None:
    store.close()
    store._engine = store._sql.create_engine(
        f"sqlite:///file:{store.path}?mode=ro&uri=true", connect_args={"uri": True}
    )
    with pytest.raises(UsageError, match="is read-only: get the right to write"):
        store.add(file_by, "ann", KEY)


@only_postgresql
def test_a_database_without_the_right_to_write_is_refused_in_one_line(store: EntryStore) -> None:
    by_hand(
        store,
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON entries, checkpoints TO reader",
    )
    reader = EntryStore(store.path, LINE, store.name.replace("//tester@", "//reader@"))
    assert len(reader.read().entries) == 9
    with pytest.raises(UsageError, match="is read-only: get the right to write"):
        reader.add(file_by, "ann", KEY)
    reader.close()
    by_hand(store, "DROP OWNED BY reader", "DROP ROLE reader")


@only_postgresql
def test_a_database_that_holds_a_log_is_not_taken_twice(store: EntryStore) -> None:
    with pytest.raises(UsageError, match="already holds a log: give an empty database"):
        reopened(store).create()
    with pytest.raises(RunError, match=r"cannot be used: .*does not exist"):
        EntryStore(store.path, LINE, f"{store.name}".replace("/log", "/none")).read()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("postgresql+psycopg://ann:secret@host/log", "leave the password out"),
        ("mysql://ann@host/log", "must be postgresql.psycopg://USER@HOST/NAME, not mysql"),
        ("a place", "must be postgresql.psycopg://USER@HOST/NAME, not a place"),
    ],
)
def test_an_unsuitable_address_is_refused(tmp_path: Path, address: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        EntryStore(tmp_path / "log.db", LINE, address)
    assert "secret" not in str(caught.value)


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_text("no database at all, but a text of some length" * 9)
    with pytest.raises(RunError, match="cannot be used: file is not a database"):
        EntryStore(tmp_path / "log.db", LINE).read()
    (tmp_path / "log.db").unlink()
    with pytest.raises(RunError, match="is missing"):
        EntryStore(tmp_path / "log.db", LINE).read()


@only_sqlite
def test_a_long_log_is_verified_and_its_states_found_in_seconds(store: EntryStore) -> None:
    """20,000 entries in a fifth of what 100,000 may take."""
    log = store.read()
    bodies = [
        json.dumps({**file_by(log.book), "place": n, "request": f"r{n - 4}", "at": "2", "who": "a"})
        for n in range(9, 20_000)
    ]
    leaves = [*log.leaves, *(leaf(body.encode()) for body in bodies)]
    with sqlite3.connect(store.path) as connection:
        connection.executemany("INSERT INTO entries VALUES (?, ?)", enumerate(bodies, 9))
        note = sign(Checkpoint("test/log", len(leaves), root(leaves)), KEY)
        connection.execute("INSERT INTO checkpoints VALUES (?, ?)", (len(leaves), note))
    started = time.process_time()
    assert len(store.read().book.requests) == 20_000 - 5
    assert time.process_time() - started < 2
