"""Pictures with their captions beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_folder import only_problem, problems, put, told, write_pictures

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.errors import UsageError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize("ending", ["txt", "caption", "png.txt", "json"])
@pytest.mark.parametrize("where", ["", "images/", "set/0000/"])
def test_each_caption_is_the_file_beside_its_picture(
    tmp_path: Path, ending: str, where: str
) -> None:
    write_pictures(tmp_path, f"{where}a.png", f"{where}b.png")
    for name, caption in (("a", "an apple"), ("b", "a bäche")):
        held = f'{{"caption": "{caption}"}}' if ending == "json" else f"{caption}\n"
        put(tmp_path / f"{where}{name}.{ending}", held.encode())
    pairs = read_folder(tmp_path)
    assert pairs.captions([0, 1]) == ["an apple", "a bäche"]
    assert pairs.row(0) == f"file {where}a.png" and not check_folder(tmp_path).passed_over


def test_img2dataset_is_read_and_its_other_files_are_counted(tmp_path: Path) -> None:
    write_pictures(tmp_path, "00000/000000000.jpg", "00000/000000001.jpg")
    for number in range(2):
        put(tmp_path / f"00000/00000000{number}.txt", f"text {number}".encode())
        put(tmp_path / f"00000/00000000{number}.json", b'{"caption": "other", "url": "x"}')
    put(tmp_path / "00000_stats.json", b'{"count": 2}')
    put(tmp_path / "00000/000000002.json", b'{"caption": "failed"}')
    assert read_folder(tmp_path).captions([0, 1]) == ["text 0", "text 1"]
    report = check_folder(tmp_path)
    assert report.passed_over == {".json": 2}
    assert "passed over: 2 files (2 × .json); first 00000/000000002.json" in str(report)


def test_a_class_folder_does_not_stand_for_captions_that_are_there(tmp_path: Path) -> None:
    write_pictures(tmp_path, "apple/1.png", "apple/2.png", "pear/1.png")
    put(tmp_path / "apple" / "1.txt", b"a red apple")
    assert [each[:2] for each in problems(tmp_path)] == [
        ("file apple/2.png", "missing file"),
        ("file pear/1.png", "missing file"),
    ]
    assert read_folder(tmp_path, skip_bad=True).captions([0]) == ["a red apple"]


def test_folders_of_splits_tell_them(tmp_path: Path) -> None:
    for split in ("Train", "val", "TEST"):
        write_pictures(tmp_path, f"{split}/{split}.png")
        put(tmp_path / split / f"{split}.txt", split.encode())
        put(tmp_path / split / f"{split}.png", split.encode())
    pairs = read_folder(tmp_path, checks="table")
    splits = {pairs.caption(row): pairs.split[row] for row in range(3)}
    assert splits == {"Train": "train", "val": "validation", "TEST": "test"}


@pytest.mark.parametrize(
    ("files", "kind", "said"),
    [
        ({"a.txt": b"0 0.5 0.5 0.1 0.2\n"}, "unreadable row", "numbers, like a detector's boxes"),
        ({"a.txt": b"one", "a.caption": b"two"}, "missing file", "not clear which part"),
        (
            {"a.json": b'{"shapes": []}'},
            "missing file",
            "its .json has no caption, or more than one; it has shapes",
        ),
        ({"a.txt": b"a", "a.json": b"{"}, "unreadable row", "this is not JSON"),
        ({"a.txt": b" \n"}, "empty caption", "there is no caption"),
        ({"a.txt": b"caf\xe9"}, "wrong encoding", "UTF-8"),
    ],
)
def test_what_is_no_caption_is_named(
    tmp_path: Path, files: dict[str, bytes], kind: str, said: str
) -> None:
    write_pictures(tmp_path, "a.png")
    for name, held in files.items():
        put(tmp_path / name, held)
    place, found, words = only_problem(tmp_path)
    assert (place, found) == ("file a.png", kind) and said in words


def test_another_caption_is_read_anew(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png")
    for caption in ("an apple", "a pear"):
        put(tmp_path / "a.txt", caption.encode())
        assert told(read_folder(tmp_path))[0][1] == caption


def test_a_caption_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    write_pictures(tmp_path, "in/a.png")
    secret = put(tmp_path / "secret", b"secret")
    (tmp_path / "in" / "a.txt").symlink_to(secret)
    assert only_problem(tmp_path / "in")[1:] == (
        "path outside the folder",
        "a.txt is a link out of the folder",
    )


@pytest.mark.parametrize(
    ("pictures", "texts"),
    [
        ("images", "captions"),
        ("images/train", "labels/train"),
        ("train/images", "train/txt"),
        ("set/img/0", "set/txt/0"),
    ],
)
def test_captions_may_lie_in_a_folder_beside_the_pictures(
    tmp_path: Path, pictures: str, texts: str
) -> None:
    write_pictures(tmp_path, f"{pictures}/a.png", f"{pictures}/b.png")
    for name in "ab":
        put(tmp_path / texts / f"{name}.txt", f"caption {name}".encode())
    pairs = read_folder(tmp_path)
    assert pairs.captions([0, 1]) == ["caption a", "caption b"]
    assert not check_folder(tmp_path).passed_over
    (tmp_path / texts / "b.txt").unlink()
    assert only_problem(tmp_path)[:2] == (f"file {pictures}/b.png", "missing file")


def test_a_folder_that_differs_in_two_names_is_not_that_of_the_captions(tmp_path: Path) -> None:
    write_pictures(tmp_path, "images/train/a.png")
    put(tmp_path / "captions" / "val" / "a.txt", b"another a")
    with pytest.raises(UsageError, match="it has the name of a picture"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("alt/a.txt", r"alt/ and captions/ could both belong to images/"),
        ("masks/a.png", r"images/ and masks/ could both belong to captions/"),
    ],
)
def test_folders_that_could_both_be_meant_are_named(tmp_path: Path, more: str, said: str) -> None:
    write_pictures(tmp_path, "images/a.png", *([more] if more.endswith("png") else []))
    put(tmp_path / "captions" / "a.txt", b"a")
    if more.endswith("txt"):
        put(tmp_path / more, b"another")
    with pytest.raises(UsageError, match=said):
        check_folder(tmp_path)


def test_boxes_in_a_folder_beside_the_pictures_are_no_captions(tmp_path: Path) -> None:
    write_pictures(tmp_path, "images/a.png")
    put(tmp_path / "labels" / "a.txt", b"0 0.5 0.5 0.25 0.25\n")
    assert "a detector's boxes" in only_problem(tmp_path)[2]


_NAMES = st.text("ab.é -_", min_size=1, max_size=6).filter(lambda n: n.strip(" .") == n)


@settings(max_examples=40, deadline=None)
@given(
    names=st.sets(_NAMES, min_size=1, max_size=4),
    captions=st.lists(st.text("aé\n\"',;\t=", max_size=8), min_size=4, max_size=4),
    apart=st.booleans(),
)
def test_what_was_written_beside_a_picture_is_read_or_it_is_refused(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], captions: list[str], apart: bool
) -> None:
    folder = tmp_path_factory.mktemp("sidecars")
    texts = folder / ("captions" if apart else "images")
    written = dict(zip(sorted(names), captions, strict=False))
    write_pictures(folder, *(f"images/{name}.png" for name in written))
    for name, caption in written.items():
        put(texts / f"{name}.txt", caption.encode())
    if check_folder(folder).problems():  # an empty caption, or none in a folder of such
        return
    pairs = read_folder(folder)
    read = {pairs.row(i): pairs.caption(i) for i in range(len(pairs))}
    assert read == {f"file images/{n}.png": c.strip() for n, c in written.items()}
