"""Tables of text: every separator and encoding, and quotes that are not closed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support_folder import problems, put, write_pictures

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.data.folder.table_text import opened_text, table_lines

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.mark.parametrize("between", [",", "\t", ";", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_any_separator_and_encoding_is_read_and_told(
    tmp_path: Path, between: str, encoding: str
) -> None:
    write_pictures(tmp_path, "a.png", "b.png")
    rows = ["image caption", "a.png a_cup", "b.png une_fenêtre_fermée"]
    text = "\r\n".join(row.replace(" ", between).replace("_", " ") for row in rows)
    put(tmp_path / "pairs.csv", text.encode(encoding))
    assert read_folder(tmp_path).captions([0, 1]) == ["a cup", "une fenêtre fermée"]
    form = check_folder(tmp_path).form
    assert (between == ",") != ("between cells" in form)
    assert encoding.startswith("utf-8") != (encoding[:6] in form)


def test_a_token_file_has_no_names_of_columns(tmp_path: Path) -> None:
    """Flickr8k's, with quotes that are part of captions, and a row that is none."""
    write_pictures(tmp_path, "Images/1_a.jpg", "Images/2_b.jpg")
    rows = ['1_a.jpg#0\t"Wow" , a dog .', "1_a.jpg#1\tA dog\truns .", '2_b.jpg#0\tA "cat .']
    put(tmp_path / "Flickr8k.token.txt", "\n".join(rows).encode())
    pairs = read_folder(tmp_path)
    assert pairs.captions([0, 1, 2]) == ['"Wow" , a dog .', "A dog\truns .", 'A "cat .']
    assert pairs.picture.tolist() == [0, 0, 1] and pairs.row(1) == "Flickr8k.token.txt, line 2"
    (tmp_path / "Flickr8k.token.txt").rename(tmp_path / "results_20130124.token")
    assert len(read_folder(tmp_path)) == 3
    put(tmp_path / "results_20130124.token", "\n".join([*rows, "2_b.jpg a cat"]).encode())
    assert problems(tmp_path)[0][0] == "results_20130124.token, line 4"


def test_excels_line_with_the_separator_is_no_row(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png")
    put(tmp_path / "pairs.csv", b"sep=;\r\nimage;caption\r\na.png;x, y\r\n")
    pairs = read_folder(tmp_path)
    assert pairs.captions([0]) == ["x, y"] and pairs.row(0) == "pairs.csv, line 3"


@pytest.mark.parametrize("end", ['b.png,24"\na.png,last', "b.png,last"])
def test_rows_that_an_open_quote_takes_in_are_named_line_by_line(tmp_path: Path, end: str) -> None:
    write_pictures(tmp_path, "a.png", "b.png")
    put(tmp_path / "pairs.csv", f'image,caption\na.png,"wide\nb.png,a\n{end}\n'.encode())
    found = problems(tmp_path)
    assert [place for place, *_ in found] == [f"pairs.csv, line {n}" for n in (2, 3, 4)]
    assert all("quote in line 2 is not closed and takes in the lines to 4" in f[2] for f in found)


def test_a_caption_may_have_lines(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png")
    put(tmp_path / "pairs.csv", b'image,caption\na.png,"one\ntwo, three"\nb.png,b\n')
    assert read_folder(tmp_path).captions([0, 1]) == ["one\ntwo, three", "b"]


def test_a_table_without_names_of_columns_says_so(tmp_path: Path) -> None:
    put(tmp_path / "pairs.csv", b"a.png,an apple\nb.png,a boat\n")
    with pytest.raises(ValueError, match=r"begins with a row.*write image,caption above it"):
        check_folder(tmp_path)


# What was written is what is read, or it is refused

_CAPTION = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffd"), max_size=30)


@settings(max_examples=200, deadline=None)
@given(st.lists(_CAPTION, max_size=6), st.sampled_from(",\t;|"), st.sampled_from(["\n", "\r\n"]))
@example(['"', "a,b", "x\ny", "\r", " ="], ",", "\r\n")
def test_what_csv_wrote_is_what_is_read_or_it_is_refused(
    tmp_path_factory: pytest.TempPathFactory, captions: list[str], between: str, end: str
) -> None:
    table = tmp_path_factory.getbasetemp() / "written.csv"
    if end == "\n":  # Python writes a lone \r without quotes then, as part of the line's end
        captions = [caption.replace("\r", "") for caption in captions]
    text = io.StringIO()
    lines = csv.writer(text, delimiter=between, lineterminator=end)
    rows = [[f"{number}.png", caption] for number, caption in enumerate(captions)]
    lines.writerows([["image", "caption"], *rows])
    table.write_bytes(text.getvalue().encode())
    with opened_text(table) as (file, encoding):
        names, found, read = table_lines(file, table.name)
        read = list(read)
    assert (names, found, encoding) == (["image", "caption"], between, "")
    if not any(line.wrong for line in read):
        assert [line.cells for line in read] == rows


@settings(max_examples=200, deadline=None)
@given(st.text('",\n;ab.png\r', max_size=60))
def test_no_line_of_a_table_is_lost_in_silence(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """Each line that names a picture is a row, or is told."""
    table = tmp_path_factory.getbasetemp() / "any.csv"
    table.write_bytes(b"image,caption\n" + text.encode())
    with opened_text(table) as (file, _):
        _, _, read = table_lines(file, table.name)
        read = list(read)
    rows = [line for line in text.replace("\r", "\n").split("\n") if ".png," in line]
    assert len(read) >= len(rows) or any(line.wrong for line in read)
