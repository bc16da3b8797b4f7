"""A user's own folder: every mistake in it, the report, and the cache."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support_folder import (
    encoded,
    noise,
    only_problem,
    problems,
    put,
    simple,
    told,
    write_pictures,
    write_shard,
    write_table,
)

from erasekit.data.folder import check as folders
from erasekit.data.folder import listing
from erasekit.data.folder.check import check_folder, read_folder
from erasekit.data.folder.listing import SPLITS
from erasekit.errors import RunError, UsageError

pytestmark = pytest.mark.usefixtures("own_cache")


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"package pyarrow: pip install 'erasekit\[data\]'"):
        read_folder(tmp_path)


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    imports = "import sys, erasekit.data.folder.check, erasekit.data.folder.selection"
    code = f"{imports}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "pyarrow", "PIL", "pandas"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(
    ("row", "kind", "said"),
    [
        ("c.png,a", "missing file", "c.png is not there"),
        (r"x\a.png,a", "missing file", r"x\a.png is not there"),
        ("x,a", "missing file", "x is no file"),
        (",a", "missing file", "no picture is named"),
        ("a.png,", "empty caption", "there is no caption"),
        ("a.png, \t ", "empty caption", "there is no caption"),
        ("a.png,a\ufffd", "wrong encoding", "'caption' is not UTF-8"),
        ("a.png,a\0b", "wrong encoding", "'caption' is not UTF-8"),
        ("a\0.png,a", "wrong encoding", "'image' is not UTF-8"),
        ("../a.png,a", "path outside the folder", "../a.png leaves the folder"),
        ("x/../../a.png,a", "path outside the folder", "../a.png leaves the folder"),
        ("/etc/a.png,a", "path outside the folder", "is absolute"),
        (r"C:\a.png,a", "path outside the folder", "is absolute"),
        ("a.png,red, ripe", "unreadable row", "3 cells under 2 columns"),
        ("a.png", "unreadable row", "1 cells under 2 columns"),
        ('a.png,"red', "unreadable row", "this is no CSV"),
        (f"a.png,{'x' * 110_000}", "unreadable row", "has 110,000 characters"),
        (f"a.png,{'x' * 140_000}", "unreadable row", "this is no CSV: field larger"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, kind: str, said: str) -> None:
    (tmp_path / "x").mkdir()
    simple(tmp_path, "a.png,a", row)
    place, found, words = only_problem(tmp_path)
    assert (place, found) == ("pairs.csv, line 3", kind) and said in words
    assert read_folder(tmp_path, skip_bad=True).captions(range(1)) == ["a"]


def test_rows_after_a_bad_one_are_read(tmp_path: Path) -> None:
    simple(tmp_path, "a.png,a", "b.png", "b.png,b")
    assert read_folder(tmp_path, skip_bad=True).captions(range(2)) == ["a", "b"]


def test_an_unknown_split_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png")
    write_table(tmp_path, "csv", [{"image": "a.png", "caption": "a", "split": "tst"}])
    want = ("pairs.csv, line 2", "unknown split", "unknown split 'tst': did you mean 'test'?")
    assert only_problem(tmp_path) == want


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = put(tmp_path / "out" / "a.png", encoded())
    folder = tmp_path / "in"
    rows = ["file.png,a", "folder/a.png,a", "within.png,a", "loop.png,a", "deep/a.png,a"]
    simple(folder, *rows)
    (folder / "file.png").symlink_to(outside)
    (folder / "folder").symlink_to(outside.parent)
    (folder / "within.png").symlink_to(folder / "a.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "deep").symlink_to("../out")
    assert [each[:2] for each in problems(folder)] == [
        ("pairs.csv, line 2", "path outside the folder"),
        ("pairs.csv, line 3", "path outside the folder"),
        ("pairs.csv, line 5", "missing file"),
        ("pairs.csv, line 6", "path outside the folder"),
    ]
    pairs = read_folder(folder, skip_bad=True)
    assert [pairs.path(i) for i in range(len(pairs))] == ["within.png"]
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    assert len(read_folder(linked, skip_bad=True)) == 1  # the folder itself may be a link


def test_links_out_of_class_folders_and_shards_are_not_followed(tmp_path: Path) -> None:
    outside = put(tmp_path / "out" / "a.png", encoded())
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "apple").symlink_to(outside.parent)
    assert only_problem(tmp_path / "c")[:2] == ("file apple/a.png", "path outside the folder")
    shard = write_shard(tmp_path / "out" / "0.tar", [("1.png", encoded()), ("1.txt", b"a")])
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "0.tar").symlink_to(shard)
    assert only_problem(tmp_path / "s")[:2] == ("shard 0.tar", "path outside the folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.png")
    assert only_problem(simple(tmp_path, "c.png,a"))[2] == "c.png is no file"


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (b"", "no JPEG, PNG, WebP, GIF or BMP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no JPEG, PNG, WebP, GIF or BMP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no JPEG, PNG, WebP, GIF or BMP"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, held: bytes, said: str) -> None:
    put(tmp_path / "c.png", held)
    simple(tmp_path, "a.png,a", "c.png,a", "c.png,b")
    want = ("pairs.csv, line 3", "damaged picture", f"c.png: {said}")
    assert only_problem(tmp_path) == want  # once, though two rows show it
    assert len(read_folder(tmp_path, skip_bad=True)) == 1
    assert problems(tmp_path, checks="table") == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_picture_cut_short_is_named(tmp_path: Path, kind: str) -> None:
    held = io.BytesIO()
    noise(64, 64).save(held, kind)
    put(tmp_path / "c.png", held.getvalue())
    simple(tmp_path, "c.png,a")
    assert len(read_folder(tmp_path)) == 1  # whatever its name says
    put(tmp_path / "c.png", held.getvalue()[: len(held.getvalue()) // 2])
    place, found, words = only_problem(tmp_path)
    assert (place, found) == ("pairs.csv, line 2", "damaged picture") and "\n" not in words


def test_pictures_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simple(tmp_path, "a.png,a")
    monkeypatch.setattr(listing, "_MOST_PIXELS", 23)
    assert only_problem(tmp_path)[2] == "a.png: it is 6 × 4, more than 23 pixels"
    monkeypatch.setattr(listing, "_MOST_BYTES", 23)
    (tmp_path / "a.png").touch()
    assert only_problem(tmp_path)[2] == "a.png: it has more than 23 bytes"


def test_a_picture_told_in_two_splits_is_named(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png")
    put(tmp_path / "copy.png", encoded(0))
    told_splits = [("a.png", "train"), ("b.png", "test"), ("copy.png", "test"), ("b.png", "train")]
    rows = [{"image": name, "caption": "a", "split": split} for name, split in told_splits]
    write_table(tmp_path, "csv", rows)
    kind = "same picture in two splits"
    assert problems(tmp_path) == [
        ("pairs.csv, line 4", kind, "copy.png is told to be in test and, before, in train"),
        ("pairs.csv, line 5", kind, "b.png is told to be in train and, before, in test"),
    ]
    pairs = read_folder(tmp_path, skip_bad=True)
    assert [each[0::4] for each in told(pairs)] == [("a.png", "train"), ("b.png", "test")]
    # Contents are not compared when pictures are not read.
    assert [each[0] for each in problems(tmp_path, checks="table")] == ["pairs.csv, line 5"]


def test_copies_go_where_one_of_them_is_told_to_be(tmp_path: Path) -> None:
    names = [f"{n}.png" for n in range(20)]
    for name in names:
        put(tmp_path / name, encoded())
    rows = [{"image": name, "caption": "a", "split": ""} for name in names]
    write_table(tmp_path, "csv", rows)
    pairs = read_folder(tmp_path)
    assert len(set(pairs.split.codes)) == len(set(pairs.picture)) == 1
    assert SPLITS[folders._hashed_split("0.png")] == pairs.split[0]
    assert len(set(read_folder(tmp_path, checks="table").split.codes)) > 1
    rows[7]["split"] = "test"
    write_table(tmp_path, "csv", rows)
    assert set(read_folder(tmp_path).split.codes) == {SPLITS.index("test")}


# The report


def test_the_report_counts_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    simple(tmp_path, "c.png,a", "a.png,", "d.png,a", "a.png,fine")
    report = check_folder(tmp_path)
    assert report.counts == {"missing file": 2, "empty caption": 1}
    assert (report.rows, report.pictures, report.kept) == (4, 3, 1)
    assert report.first == ("pairs.csv, line 3", "empty caption", "there is no caption")
    with pytest.raises(UsageError) as caught:
        read_folder(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} has problems: 1 × empty caption, 2 × missing file. The first: pairs.csv, "
        f"line 3: there is no caption. All are in {report.path}; skip_bad leaves them out"
    )
    said = str(report)
    assert "4 rows, 1 of them good" in said and "        2  missing file" in said
    assert str(report.path) in said
    copy = report.write(tmp_path / "new" / "problems.csv")
    lines = copy.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "place,kind,said" and len(lines) == 4
    assert lines[2] == '"pairs.csv, line 2",missing file,c.png is not there'
    assert len(read_folder(tmp_path, skip_bad=True)) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        report.write(tmp_path / "file" / "problems.csv")


def test_a_folder_without_a_good_row_is_an_error_all_the_same(tmp_path: Path) -> None:
    simple(tmp_path, "c.png,a")
    with pytest.raises(UsageError, match=r"no row is good$"):
        read_folder(tmp_path, skip_bad=True)
    simple(tmp_path, "a.png,")
    with pytest.raises(UsageError, match=r"line 2: there is no caption.*no row is good$"):
        read_folder(tmp_path, skip_bad=True)


def test_a_good_folder_says_so(tmp_path: Path) -> None:
    report = check_folder(simple(tmp_path, "a.png,a"))
    assert str(report).splitlines()[-1] == "no problems" and not list(report.problems())


# The cache


def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is decoded from now on."""
    seen: list[bytes] = []
    real = listing.decode

    def decode(held: bytes) -> Image.Image:
        seen.append(held)
        return real(held)

    monkeypatch.setattr(folders, "decode", decode)
    return seen


def test_a_second_run_decodes_nothing_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(monkeypatch)
    simple(tmp_path, "a.png,a", "b.png,b")
    first = told(read_folder(tmp_path))
    assert len(seen) == 2
    assert told(read_folder(tmp_path)) == first and len(seen) == 2
    put(tmp_path / "b.png", b"?")
    assert only_problem(tmp_path)[2].startswith("b.png: ") and len(seen) == 4
    (tmp_path / "b.png").unlink()
    assert only_problem(tmp_path)[2] == "b.png is not there"
    simple(tmp_path, "a.png,anew", "b.png,b")
    assert read_folder(tmp_path).caption(0) == "anew"


def test_an_interrupted_check_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n}.png" for n in range(9)]
    simple(tmp_path, *(f"{name},a" for name in names), names=tuple(names))
    monkeypatch.setattr(folders, "_SAVED_AT_ONCE", 3)
    real = folders._digest

    def interrupted(root: Path, spot: listing.Spot) -> tuple[str, str]:
        if spot.path == "4.png":
            raise KeyboardInterrupt
        return real(root, spot)

    monkeypatch.setattr(folders, "_digest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_folder(tmp_path)
    monkeypatch.setattr(folders, "_digest", real)
    seen = counted(monkeypatch)
    assert len(read_folder(tmp_path)) == 9 and len(seen) == 6


def test_only_the_texts_are_read_when_pictures_are_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted(monkeypatch)
    simple(tmp_path, "a.png,a")
    assert len(read_folder(tmp_path, checks="table")) == 1 and not seen


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_a_path_belongs_to_one_split_for_ever(path: str) -> None:
    tenth = int(hashlib.sha256(path.encode()).hexdigest()[:16], 16) % 10
    assert folders._hashed_split(path) == (0 if tenth < 8 else tenth - 7)


def test_the_shares_of_the_splits_are_near_what_is_said() -> None:
    found = Counter(folders._hashed_split(f"img/{n:06}.jpg") for n in range(20_000))
    for split, share in enumerate((0.8, 0.1, 0.1)):
        assert found[split] / 20_000 == pytest.approx(share, abs=0.01)
