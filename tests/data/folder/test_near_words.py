"""What a rule nearly selects: forms of its words, longer words, another case."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_folder import write_pictures, write_table

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.near_words import _kind, near_words
from erasekit.data.folder.selection import Part, ask

pytestmark = pytest.mark.usefixtures("own_cache")

CAPTIONS = [
    "an apple",
    "two Apples",
    "pineapples",
    "APPLE pie",
    "apply here",
    "a pear",
    "a caf\u00e9",
]


@pytest.mark.parametrize(
    ("rule", "near"),
    [
        ("word=apple", {"other_forms": [1], "longer_words": [2]}),
        ("thing", {"whole_words": [7]}),
        ("word=cafe,word=pear", {"other_forms": [6]}),
        ("regex=apple", {"other_case": [1, 3]}),
        ("word=pear", {}),
    ],
)
def test_what_is_near_is_told_by_kind(tmp_path: Path, rule: str, near: dict) -> None:
    names = [f"{i}.png" for i in range(8)]
    write_pictures(tmp_path, *names)
    captions = [*CAPTIONS, "a thing"]
    rows = [{"image": n, "caption": c} for n, c in zip(names, captions, strict=True)]
    rows[0]["concept"] = "thing"
    write_table(tmp_path, "csv", rows)
    found = near_words(ask(read_folder(tmp_path, progress=False), rule))
    assert {kind: rows.tolist() for kind, rows in found.items() if len(rows)} == near


@pytest.mark.parametrize(
    ("asked", "caption", "kind"),
    [
        ("berry", "wild berries", "other_forms"),
        ("ice cream", "an ice-cream", "other_forms"),
        ("ice cream", "ice creams", "other_forms"),
        ("ice cream", "cream of ice", None),
        ("chat", "deux chats noirs", "other_forms"),
        ("hund", "die Hunde", "other_forms"),
        ("cat", "concatenate", "longer_words"),
        ("りんご", "これはりんごです", "longer_words"),
        ("cat", "a car", None),
    ],
)
def test_forms_of_words(asked: str, caption: str, kind: str | None) -> None:
    assert _kind(Part("word", asked), asked, caption.casefold()) == kind


@given(st.text("abcé ", min_size=1).filter(str.strip), st.text("abcé "))
def test_whatever_holds_the_word_is_near(asked: str, around: str) -> None:
    asked = " ".join(asked.split())
    assert _kind(Part("word", asked), asked, f"{around}{asked}{around}") is not None
