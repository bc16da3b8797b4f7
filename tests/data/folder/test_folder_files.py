"""Where the data in a folder begins, and which file a written name means."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_folder import encoded, only_problem, problems, put, simple, told, write_pictures

from erasekit.data.folder.check import read_folder
from erasekit.data.folder.columns import Columns
from erasekit.data.folder.folder_files import Folder, is_generic
from erasekit.errors import UsageError

pytestmark = pytest.mark.usefixtures("own_cache")

COMPOSED, DECOMPOSED = "caf\u00e9.png", "cafe\u0301.png"


@pytest.mark.parametrize("wrap", ["images", "my data/v1", "dataset"])
def test_a_folder_around_the_data_is_looked_through(tmp_path: Path, wrap: str) -> None:
    write_pictures(tmp_path, f"{wrap}/apple/1.png", f"{wrap}/pear/2.png")
    put(tmp_path / "README.md", b"# pictures")
    put(tmp_path / ".DS_Store", b"")
    assert [each[:3] for each in told(read_folder(tmp_path))] == [
        (f"{wrap}/apple/1.png", "apple", "apple"),
        (f"{wrap}/pear/2.png", "pear", "pear"),
    ]


def test_the_folder_of_a_split_or_a_class_is_not_looked_through(tmp_path: Path) -> None:
    write_pictures(tmp_path, "x/apple/1.png", "y/train/apple/1.png", "z/test/apple/1.png")
    assert Folder.of(tmp_path / "x", Columns(), False).base == tmp_path / "x"
    assert Folder.of(tmp_path / "y", Columns(), False).base == tmp_path / "y"


def test_a_hub_cache_is_read_through_its_links(tmp_path: Path) -> None:
    revision = tmp_path / "snapshots" / "abc"
    for number, name in enumerate(("apple/1.png", "pear/2.png")):
        blob = put(tmp_path / "blobs" / f"{number:040}", encoded(number))
        (revision / name).parent.mkdir(parents=True)
        (revision / name).symlink_to(f"../../../blobs/{blob.name}")
    paths = ["snapshots/abc/apple/1.png", "snapshots/abc/pear/2.png"]
    assert [each[0] for each in told(read_folder(tmp_path))] == paths
    # Of the snapshot alone, every link leads out of what was given.
    assert [each[1] for each in problems(revision)] == ["path outside the folder"] * 2
    write_pictures(tmp_path, "snapshots/def/kiwi/3.png")
    with pytest.raises(UsageError, match="a cache of the hub with 2 snapshots"):
        read_folder(tmp_path)
    put(tmp_path / "refs" / "main", b"abc\n")
    assert len(read_folder(tmp_path)) == 2


@pytest.mark.parametrize(
    ("written", "file"),
    [
        (r"img\a.png", "img/a.png"),
        (r".\img\a.png", "img/a.png"),
        ("a.png", "img/deep/a.png"),
        (COMPOSED, f"img/{DECOMPOSED}"),
        (DECOMPOSED, f"img/{COMPOSED}"),
        ("img/A.PNG", "img/a.png"),
        ("deep/a.png", "img/deep/a.png"),
    ],
)
def test_a_name_means_the_file_that_it_would_mean_elsewhere(
    tmp_path: Path, written: str, file: str
) -> None:
    write_pictures(tmp_path, file)
    simple(tmp_path, f"{written},a", names=())
    assert read_folder(tmp_path).path(0) == file


def test_a_path_of_this_machine_is_read_if_it_lies_in_the_folder(tmp_path: Path) -> None:
    assert read_folder(simple(tmp_path, f"{tmp_path}/a.png,a")).path(0) == "a.png"


def test_files_that_differ_in_their_unicode_form_alone_are_two(tmp_path: Path) -> None:
    write_pictures(tmp_path, COMPOSED, DECOMPOSED)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("a file system that has one form alone")
    simple(tmp_path, f"{COMPOSED},a", f"{DECOMPOSED},b", names=())
    pairs = read_folder(tmp_path)
    assert [pairs.path(0), pairs.path(1)] == [COMPOSED, DECOMPOSED]


def test_a_name_that_could_mean_two_files_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path, "x/c.png", "y/c.png")
    simple(tmp_path, "c.png,a", names=())
    said = "c.png could be x/c.png or y/c.png: write its whole path in the folder"
    assert only_problem(tmp_path) == ("pairs.csv, line 2", "unreadable row", said)


def test_a_picture_that_came_later_is_found(tmp_path: Path) -> None:
    simple(tmp_path, "a.png,a", names=())
    assert only_problem(tmp_path)[2] == "a.png is not there"
    write_pictures(tmp_path, "img/a.png")
    assert read_folder(tmp_path).path(0) == "img/a.png"


def test_concepts_are_one_in_every_unicode_form(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png")
    rows = "".join(f"{n},x,{c}\n" for n, c in (("a.png", "caf\u00e9"), ("b.png", "cafe\u0301")))
    put(tmp_path / "pairs.csv", f"image,caption,concept\n{rows}".encode())
    assert read_folder(tmp_path).concept.names == ("caf\u00e9",)


_NAME = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=9)


@settings(max_examples=100, deadline=None)
@given(_NAME.filter(lambda name: name not in (".", "..")), st.sampled_from(["NFC", "NFD"]))
def test_any_name_that_a_file_may_have_is_found_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, name: str, form: str
) -> None:
    root = tmp_path_factory.mktemp("names").resolve()
    file = f"{name.replace('/', '_').strip()}.png"
    write_pictures(root, f"img/{file}")
    folder = Folder(root, root)
    found = folder.named(unicodedata.normalize(form, f"img/{file}"))
    if (root / found).exists():
        assert (root / found).samefile(root / "img" / file)
    else:  # a name that begins with a slash of Windows, or with a drive
        assert "\\" in name or ":" in name


def test_names_that_say_nothing_of_what_is_shown() -> None:
    names = ("images", "img", "Flicker8k_Dataset", "flickr30k-images", "JPEGImages", "annotations")
    assert all(map(is_generic, names))
    assert not any(map(is_generic, ("apple", "imagery", "mask", "database", "photo frame")))
