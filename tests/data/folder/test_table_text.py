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


def test_letters_that_no_encoding_explains_are_named_row_by_row(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png")
    text = "image,caption\na.png,красный автомобиль у дома\n".encode("cp1251")
    put(tmp_path / "pairs.csv", text)
    ((place, kind, said),) = problems(tmp_path)
    assert (place, kind) == ("pairs.csv, line 2", "wrong encoding") and "UTF-8" in said


_LANGUAGES = {
    "cp1251": "красное яблоко на столе|две собаки бегут по траве|мальчик прыгает в бассейн",
    "koi8_r": "женщина читает книгу у окна|кошка спит на диване|две собаки бегут по траве",
    "cp932": "赤いりんごがテーブルの上にある|二匹の犬が草の上を走る|猫がソファで眠る",
    "gb18030": "桌子上有一个红苹果|两只狗在草地上奔跑|穿蓝色夹克的男孩跳进游泳池",
    "big5": "桌子上有一個紅蘋果|兩隻狗在草地上奔跑|女人在窗邊看書",
    "cp949": "탁자 위에 빨간 사과|풀밭을 달리는 개 두 마리|수영장에 뛰어드는 소년",
    "cp1253": "ένα κόκκινο μήλο στο τραπέζι|δύο σκυλιά τρέχουν στο γρασίδι|η γάτα κοιμάται",
    "cp1255": "תפוח אדום על השולחן|שני כלבים רצים על הדשא|ילד קופץ לבריכה",
    "cp1256": "تفاحة حمراء على الطاولة|كلبان يركضان على العشب|امرأة تقرأ كتابا",
    "cp1250": "czerwone jabłko na stole|dwa psy biegną po trawie|chłopiec skacze do basenu",
}
_READ = ("cp1251", "koi8_r", "cp932", "gb18030", "big5", "cp949", "cp1253", "cp1256")


@pytest.mark.parametrize("encoding", _LANGUAGES)
def test_another_alphabet_is_read_where_its_encoding_is_clear(
    tmp_path: Path, encoding: str
) -> None:
    captions = _LANGUAGES[encoding].split("|")
    write_pictures(tmp_path, "0.png", "1.png", "2.png")
    rows = [f"{number}.png,{caption}" for number, caption in enumerate(captions)]
    put(tmp_path / "pairs.csv", "\n".join(["image,caption", *rows]).encode(encoding))
    if encoding in _READ:
        assert read_folder(tmp_path).captions([0, 1, 2]) == captions
        assert encoding in check_folder(tmp_path).form
    else:
        assert {kind for _, kind, _ in problems(tmp_path)} == {"wrong encoding"}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(_LANGUAGES)), st.data())
def test_no_encoding_is_taken_for_another(
    tmp_path_factory: pytest.TempPathFactory, encoding: str, data: st.DataObject
) -> None:
    captions = _LANGUAGES[encoding].split("|")
    text = "\n".join(data.draw(st.lists(st.sampled_from(captions), min_size=1, unique=True)))
    table = tmp_path_factory.getbasetemp() / "letters.csv"
    table.write_bytes(text.encode(encoding))
    with opened_text(table) as (file, _):
        read = file.read()
    assert read == text or any("\udc80" <= letter <= "\udcff" for letter in read)


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


def test_one_line_in_utf8_says_that_the_others_are_broken(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png", "c.png")
    lines = b"image,caption\na.png,caf\xe9\n" + b"b.png,b\n" * 150_000
    put(tmp_path / "pairs.csv", lines + "c.png,café\n".encode())
    assert problems(tmp_path)[0][:2] == ("pairs.csv, line 2", "wrong encoding")


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
