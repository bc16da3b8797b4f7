"""What a rule selects in a user's own data, and what each mistake in a rule says."""

from __future__ import annotations

import csv
import time
import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.listing import FolderPairs
from erasekit.data.folder.selection import Part, ask, parse_rule, select
from erasekit.errors import UsageError

ROWS = [  # picture, caption, concept, group
    ("a1.png", "a red apple", "red apple", "fruit"),
    ("a1.png", "lunch on a table", "red apple", "fruit"),
    ("a2.png", "An APPLE, cut", "red apple", "fruit"),
    ("in/p1.png", "two pineapples", "pineapple", "fruit"),
    ("in/d1.png", "a dog eats an apple\npie", "dog", "Animal"),
    ("d2.png", "ein großer Hund, (gut) ärgert sich", "", "Animal"),
    ("c1.png", "これはりんごです", "", ""),
    ("c2.png", "a house-boat, 1 of 3", "orange", "colour"),
    ("c3.png", "an orange", "orange", "fruit"),
]
CAPTIONS = [row[1] for row in ROWS]


def write(folder: Path, rows: list[tuple[str, ...]]) -> None:
    for colour, name in enumerate(dict.fromkeys(row[0] for row in rows)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (colour, 0, 0)).save(folder / name)
    with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["image", "caption", "concept", "group"][: len(rows[0])])
        lines.writerows(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    write(folder, ROWS)
    return folder


@pytest.fixture(scope="module")
def pairs(folder: Path) -> FolderPairs:
    return read_folder(folder, progress=False)


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        ("red apple", [0, 1, 2]),
        ("Red_Apple", [0, 1, 2]),
        ("red-apple, dog", [0, 1, 2, 4]),
        ("fruit", [0, 1, 2, 3, 8]),
        ("animal", [4, 5]),
        ("group=fruit", [0, 1, 2, 3, 8]),
        ("concept=orange,GROUP = Animal,", [4, 5, 7, 8]),
        ("word=apple", [0, 1, 2, 4]),
        ("word=lunch", [0, 1]),
        ("word=Apple   pie", [4]),
        ("word=hund", [5]),
        ("word=ÄRGERT", [5]),
        ("word=(gut)", [5]),
        ("word=boat", [7]),
        ("word=1", [7]),
        ("regex=apple", [0, 1, 2 - 1, 3, 4]),
        ("regex=(?i)apple", [0, 1, 2, 3, 4]),
        ("regex=^a .*, [0-9]", [7]),
        ("regex=りんご", [6]),
        ("dog,regex=house|a, b", [4, 7]),
        ("word=lunch,word=orange", [0, 1, 8]),
    ],
)
def test_a_rule_selects_whole_pictures(pairs: FolderPairs, rule: str, rows: list[int]) -> None:
    assert np.flatnonzero(select(pairs, rule)).tolist() == sorted(set(rows))


def test_a_list_of_files_selects_them(pairs: FolderPairs, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("./a1.png\n\n in/d1.png \r\n", encoding="utf-8-sig")
    rule = f"files={tmp_path / 'list.txt'}"
    assert np.flatnonzero(select(pairs, rule)).tolist() == [0, 1, 4]
    assert select(pairs.take([4, 1, 8]), rule).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("", "forget is empty"),
        (" , ", "forget is empty"),
        ("word=", "nothing stands after 'word='"),
        ("apple,regex=", "nothing stands after 'regex='"),
        ("wrd=apple", "unknown rule 'wrd=': did you mean 'word='"),
        ("read apple", "unknown concept or group 'read apple': did you mean 'red apple'"),
        ("frut", "unknown concept or group 'frut': did you mean 'fruit'"),
        ("group=dog", "unknown group 'dog': known: fruit, Animal, colour. In captions word=dog"),
        ("concept=fruit", "unknown concept 'fruit'"),
        ("word=app", "word=app selects nothing: no caption has it; regex=app finds it inside"),
        ("word=りんご", "regex=りんご finds it inside longer words"),
        ("regex=zebra", "regex=zebra selects nothing"),
        ("regex=a(", r"regex=a( is not understood (missing ): a()"),
        ("regex=apple(?! pie)", "without look-around and back-references"),
        (r"regex=(a)\1", "without look-around and back-references"),
        ("regex=.", "selects every one of 9 pairs: something must be kept"),
        ("a1.png", "Pictures are asked for in a list, one per line: files=list.txt"),
        ("files=nowhere.txt", "files=nowhere.txt cannot be read: No such file"),
    ],
)
def test_a_mistake_is_told(pairs: FolderPairs, rule: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(pairs, rule)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_mistake_in_a_list_of_files_is_told(pairs: FolderPairs, tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    for held, said in [
        (b"in/p2.png\n", "'in/p2.png': did you mean 'in/p1.png'"),
        (b"to/p1.png\nx\n", r"'to/p1.png': did you mean 'in/p1.png'.*\(2 entries ask for nothing"),
        (b"\n", "has no path in it"),
        (b"IN/P2.PNG\n", "known: none like it. Write its path in the folder, one picture per"),
        (b"\xff\xfea", "cannot be read: it is not UTF-8"),
    ]:
        file.write_bytes(held)
        with pytest.raises(UsageError, match=said):
            select(pairs, f"files={file}")


def test_what_is_not_there_is_named_when_something_is(pairs: FolderPairs, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("in/p2.png\na1.png\n")
    request = ask(pairs, f"word=zebra,files={tmp_path / 'list.txt'}")
    assert request.selected.tolist() == [True, True] + [False] * 7
    told = request.as_dict(np.flatnonzero(request.selected))
    assert told["asked"]["entries"] == ["word=zebra", "in/p2.png", "a1.png"]
    assert told["asked"]["kind"] == "several" and told["erased"] == ["a1.png"]
    assert (told["found"], told["not_found"]) == (["a1.png"], ["word=zebra", "in/p2.png"])
    assert "did you mean 'in/p1.png'" in request.missing["in/p2.png"]
    assert sum(told["by_split"].values()) == 1


def test_the_end_of_a_path_is_completed_and_said(pairs: FolderPairs, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("d1.png\na1.png\n1.png\n")
    request = ask(pairs, f"files={tmp_path / 'list.txt'}")
    assert np.flatnonzero(request.selected).tolist() == [0, 1, 4]
    told = request.as_dict(np.flatnonzero(request.selected))
    assert told["completed"] == {"d1.png": "in/d1.png"}
    assert (told["found"], told["not_found"]) == (["d1.png", "a1.png"], ["1.png"])
    assert request.notes() == ["not found: 1 of 3: 1.png", "completed: 1 of 3: d1.png is in/d1.png"]


ENDS = (
    *("x.png", "a/x.png", "b/a/x.png", "b/y.png", "c/y.png"),
    *("b/z\u0301.png", "bad/w.png", "v.png", "b/v.png"),
)
DAMAGED = ("bad/w.png", "v.png")


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> FolderPairs:
    """Pictures of the same names in several folders; two pictures are damaged."""
    folder = tmp_path_factory.mktemp("alike")
    write(folder, [(name, f"caption {name}") for name in (*ENDS, "other.png")])
    for name in DAMAGED:
        (folder / name).write_bytes(b"no picture")
    return read_folder(folder, skip_bad=True, progress=False)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ENDS), st.integers(0, 2), st.sampled_from(["NFC", "NFD"]))
def test_no_end_of_a_path_is_completed_to_another_picture(
    alike: FolderPairs,
    tmp_path_factory: pytest.TempPathFactory,
    path: str,
    cut: int,
    form: Literal["NFC", "NFD"],
) -> None:
    end = unicodedata.normalize(form, "/".join(path.split("/")[cut:]) or path)
    file = tmp_path_factory.getbasetemp() / "ends.txt"
    file.write_text(f"{end}\nother.png\n", encoding="utf-8")
    homes = [each for each in ENDS if f"/{each}".endswith(f"/{unicodedata.normalize('NFD', end)}")]
    whole = unicodedata.normalize("NFD", end)
    if whole not in ENDS and len(homes) > 1:
        with pytest.raises(UsageError, match=rf"could be any of .* \({homes[0]}, {homes[1]}\)"):
            ask(alike, f"files={file}")
        return
    found = ask(alike, f"files={file}").as_dict(np.array([], dtype=int))
    meant = whole if whole in ENDS else homes[0]
    assert found["found"] == (["other.png"] if meant in DAMAGED else [end, "other.png"])
    assert found["completed"] == ({} if meant in (*DAMAGED, whole) else {end: meant})


def test_a_list_may_be_in_another_encoding(pairs: FolderPairs, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("in/d1.png\r\n".encode("utf-16"))
    assert ask(pairs, f"files={tmp_path / 'list.txt'}").missing == {}


@pytest.mark.parametrize("line", ["in\\d1.png", ".\\in\\d1.png", "ROOT/in/d1.png"])
def test_a_list_may_have_paths_of_other_styles(
    pairs: FolderPairs, folder: Path, tmp_path: Path, line: str
) -> None:
    (tmp_path / "list.txt").write_text(line.replace("ROOT", str(folder.resolve())) + "\n")
    request = ask(pairs, f"files={tmp_path / 'list.txt'}")
    assert np.flatnonzero(request.selected).tolist() == [4] and not request.missing


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("rule", ["word=CAFÉ", "regex=caf\u00e9", "Café", "files"])
def test_a_letter_is_the_same_in_every_form_of_unicode(
    tmp_path: Path, rule: str, form: Literal["NFC", "NFD"]
) -> None:
    forms = [unicodedata.normalize(f, "café") for f in ("NFC", "NFD")]
    rows = [(f"{i}.png", f"un {word} {i}", word, "place") for i, word in enumerate(forms)]
    write(tmp_path, [*rows, ("é.png", "a dog", "dog", "animal")])
    (tmp_path / "list.txt").write_text(unicodedata.normalize(form, "é.png"), encoding="utf-8")
    rule = f"files={tmp_path / 'list.txt'}" if rule == "files" else rule
    found = select(read_folder(tmp_path), unicodedata.normalize(form, rule)).tolist()
    assert found == ([False, False, True] if rule.startswith("files") else [True, True, False])


def test_data_without_concepts_says_where_to_look(tmp_path: Path) -> None:
    write(tmp_path, [row[:2] for row in ROWS])
    pairs = read_folder(tmp_path)
    with pytest.raises(UsageError, match=r"your data has no concept or group\. In captions wor"):
        select(pairs, "apple")
    assert select(pairs, "word=apple").sum() == 4


def test_copies_of_a_picture_are_selected_together(tmp_path: Path) -> None:
    write(tmp_path, [("a.png", "an apple"), ("b.png", "lunch"), ("c.png", "a dog")])
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    Image.open(tmp_path / "a.png").save(tmp_path / "b2.png", compress_level=0)
    with (tmp_path / "pairs.csv").open("a") as file:
        file.write("b2.png,supper\n")
    request = ask(read_folder(tmp_path), "word=apple")
    assert request.selected.tolist() == [True, True, False, True]
    told = request.as_dict(np.flatnonzero(request.selected))
    assert told["also_removed"] == [
        {"image": "b.png", "copy_of": "a.png", "kind": "byte"},
        {"image": "b2.png", "copy_of": "a.png", "kind": "pixel"},
    ]
    assert told["erased"] == ["a.png", "b.png", "b2.png"]


def test_a_rule_is_parsed_without_data() -> None:
    rule = "Red apple, group=a=b ,word=x, regex= a,b=c"
    parts = (Part("name", "Red apple"), Part("group", "a=b"), Part("word", "x"))
    assert parse_rule(rule) == (*parts, Part("regex", " a,b=c"))
    assert [str(part) for part in parse_rule(rule)][:2] == ["Red apple", "group=a=b"]


def test_no_pattern_takes_for_ever(tmp_path: Path) -> None:
    write(tmp_path, [("a.png", "a" * 50_000 + "!"), ("b.png", "b")])
    pairs = read_folder(tmp_path)
    start = time.perf_counter()
    with pytest.raises(UsageError, match="selects nothing"):
        select(pairs, "regex=(a+)+$")
    assert time.perf_counter() - start < 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(ROWS) - 1), min_size=1), st.sampled_from(["fruit", "word=dog"]))
def test_no_picture_is_on_both_sides(pairs: FolderPairs, rows: list[int], rule: str) -> None:
    view = pairs.take(rows)
    try:
        mask = select(view, rule)
    except UsageError:
        return  # nothing or everything of so few
    assert not set(view.picture[mask]) & set(view.picture[~mask])
    want = select(pairs, rule)[rows]
    # A view may lack the caption that a picture was selected by.
    assert not (mask & ~want).any()
