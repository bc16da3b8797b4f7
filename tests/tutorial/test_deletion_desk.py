"""What notebook 15 uses: its settings, policies and tables."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from erasekit.certificate.policy import load_policy
from erasekit.errors import UsageError
from erasekit.requests.entry_store import EntryStore
from erasekit.requests.merkle_log import leaf, verifier
from erasekit.tutorial import deletion_desk


@pytest.mark.parametrize(
    ("forget", "second", "words"),
    [
        ("friut", "bird", "did you mean 'fruit'"),
        ("fruit", "brid", "did you mean 'bird'"),
        ("fruit", "fruit", "name another group than in forget"),
    ],
)
def test_groups_that_are_not_there_are_refused(forget: str, second: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        deletion_desk.settings("smoke", forget, second)


def test_a_policy_is_one_that_the_kit_reads(tmp_path: Path) -> None:
    bounds = {"forgotten": ("at_most", 0.1), "no trace": ("at_least", -0.3)}
    found = load_policy(deletion_desk.write_policy(tmp_path / "mine.yaml", ["dora"], bounds))
    assert (found.name, found.requests.reviewers) == ("mine", ["dora"])
    assert [(c.id, c.at_most, c.at_least) for c in found.criteria] == [
        ("forgotten", 0.1, None),
        ("no trace", None, -0.3),
    ]


def test_entries_are_hashed_as_the_log_does(tmp_path: Path) -> None:
    from erasekit.certificate.signature import load_private_key

    key = load_private_key(deletion_desk.write_key(tmp_path))
    store = EntryStore(tmp_path / "log.db", verifier("a", key.public_key()))
    store.create()
    log = store.add(lambda _: {"what": "init", "why": "für alle"}, "ann", key)
    assert [leaf(entry) for entry in deletion_desk.entry_bytes(log.entries)] == log.leaves


def test_tables_say_what_is_there() -> None:
    certificate = {
        "criteria": [
            {"id": "kept", "found": [{"value": 0.1}], "at_most": 0.2, "result": "met"},
            {"id": "trace", "found": [{"value": -0.8}], "at_least": -0.3, "result": "not met"},
        ]
    }
    table = deletion_desk.criteria_table(certificate)
    assert table.loc["trace"].to_list() == [-0.8, "at least −0.3", "not met"]
    assert deletion_desk.found(certificate, "trace") == -0.8
    request = SimpleNamespace(id="r1", rule="fruit", state="live", version="v1")
    book = SimpleNamespace(requests={"r1": request})
    assert deletion_desk.queue_table(book).loc["r1"].to_list() == ["fruit", "live", "v1"]
    counts = deletion_desk.shadow_table({"changed": 5, "asked": 2})
    assert counts["changed answers"].to_list() == [2, 3]


def test_a_refusal_is_told_and_an_accepted_act_is_not() -> None:
    def refused() -> None:
        raise UsageError("no")

    assert (deletion_desk.refusal(refused), deletion_desk.refusal(int)) == ("no", "")


def test_a_page_is_shown_as_a_document_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    page = tmp_path / "page.html"
    page.write_text('<p title="a">it & "that"</p><script>alert(1)</script>')
    deletion_desk.show_page(page, "Requests")
    frame = shown[0]["text/html"]
    assert "<script" not in frame and "<p" not in frame
    assert re.search(r'<iframe title="Requests" sandbox srcdoc="&lt;p title=&quot;a&quot;', frame)


def test_the_desk_begins_empty(tmp_path: Path) -> None:
    folder = deletion_desk.desk(str(tmp_path))
    (folder / "left").touch()
    assert list(deletion_desk.desk(str(tmp_path)).iterdir()) == []
