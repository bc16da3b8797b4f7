"""Encodings of tables: what was written is what is read, or it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_folder import problems, put, write_pictures

from erasekit.data.folder.check import check_folder, read_folder
from erasekit.data.folder.folder_files import BROKEN
from erasekit.data.folder.table_text import opened_text
from erasekit.errors import UsageError

pytestmark = pytest.mark.usefixtures("own_cache")

# Captions by language; the first of its encodings reads all of them together.
_LANGUAGES = {
    "French cp1252 mac_roman": "une fenêtre fermée|un garçon à la plage|l’été est là|un bœuf",
    "German cp1252 cp850 mac_roman": "ein Mädchen|ein großer Vogel|Äpfel und Nüsse|schöne Hunde",
    "Spanish cp1252 mac_roman": "un niño está aquí|dos pájaros|¿qué hay en el camión?|María ríe",
    "Portuguese cp1252": "uma maçã na mesa|dois cães à janela|um avião no céu|três limões",
    "Italian cp1252": "la mela è rossa|più in là|la città di notte|lunedì però|perché",
    "Swedish cp1252 mac_roman": "ett rött äpple|två hundar på gräset|en gammal båt",
    "Danish cp1252": "et rødt æble på bordet|en dreng går på gaden|en kvinde læser",
    "Icelandic cp1252": "rautt epli á borðinu|það er köttur í sófanum|þrír menn við sjó",
    "English cp1252 mac_roman": "it’s a dog|“stop” says the man’s sign|a café – and a cat|5 °C",
    "Czech cp1250 iso8859_2 cp852": "červené jablko|žena čte knihu|kůň pije vodu|moře a loď|ať",
    "Slovak cp1250": "mačka spí na gauči|ľudia na ulici|vŕba pri rieke|kôň pije|ťava",
    "Polish cp1250 iso8859_2": "czerwone jabłko|dwa psy biegną|kot śpi|źrebię na łące|ćma|żółty",
    "Hungarian cp1250": "két kutya fut a füvön|egy nő könyvet olvas|hűvös erdő|három tűz|jó idő",
    "Croatian cp1250": "dječak skače u bazen|žena čita|žuti šešir|kuća|đak",
    "Romanian cp1250": "un măr roşu pe masă|doi câini|o femeie citeşte|în faţa casei",
    "Turkish cp1254": "masanın üzerinde kırmızı bir elma|ağaç|güneş doğuyor|koşan köpek",
    "Lithuanian cp1257": "du šunys bėga per žolę|moteris skaito knygą|ąžuolas|ūkas|į baseiną",
    "Latvian cp1257": "sarkans ābols|divi suņi skrien pa zāli|kaķis guļ uz dīvāna|šķūnis",
    "Russian cp1251 cp866 koi8_r iso8859_5": "красное яблоко на столе"
    "|две собаки бегут по траве|мальчик прыгает в бассейн|женщина читает книгу у окна",
    "Ukrainian cp1251": "червоне яблуко на столі|дві собаки біжать по траві|їжак п’є воду",
    "Greek cp1253 iso8859_7": "ένα κόκκινο μήλο στο τραπέζι|δύο σκυλιά τρέχουν στο γρασίδι"
    "|η γάτα κοιμάται|Άνθρωποι στον δρόμο",
    "Arabic cp1256": "تفاحة حمراء على الطاولة|كلبان يركضان على العشب|امرأة تقرأ كتابا",
    "Thai cp874": "แอปเปิ้ลสีแดงบนโต๊ะ|สุนัขสองตัววิ่งบนหญ้า|แมวนอนบนโซฟา",
    "Japanese cp932 euc_jp": "赤いりんごがテーブルの上にある|二匹の犬が走る|猫がソファで眠る",
    "Chinese gb18030": "桌子上有一个红苹果|两只狗在草地上奔跑|穿蓝色夹克的男孩跳进游泳池",
    "Taiwanese big5": "桌子上有一個紅蘋果|兩隻狗在草地上奔跑|女人在窗邊看書",
    "Korean cp949": "탁자 위에 빨간 사과|풀밭을 달리는 개 두 마리|수영장에 뛰어드는 소년",
}
_WRITTEN = [
    (encoding, captions.split("|"))
    for language, captions in _LANGUAGES.items()
    for encoding in language.split()[1:]
]


# Not clear from so few captions.
_UNCLEAR = [
    ("mac_cyrillic", _LANGUAGES["Russian cp1251 cp866 koi8_r iso8859_5"].split("|")),
    ("cp1255", ["תפוח אדום על השולחן", "שני כלבים רצים על הדשא", "ילד קופץ לבריכה"]),
    ("cp1252", ["un caffè\xa0caldo"]),
    ("cp1252", ["et rødt hus"]),
    ("cp1250", ["dobrý pes"]),
    ("cp1254", ["bir şapka"]),
    ("cp1257", ["mazs zēns"]),
    ("cp1251", ["красный у дома"]),
    ("cp850", ["treno alta velocità punta", "una medusa"]),
    ("cp852", ["ať"]),
    ("mac_roman", ["ratolí de bola", "gos"]),
    ("cp1255", ["חץ חלול למעלה מפס", "שעון יד", "כוכבית עם שמונה פינות"]),
    ("cp932", ["アザラシ", "ロバ", "ブタ"]),
]


def _table(captions: Sequence[str], encoding: str) -> bytes:
    rows = [f"{number}.png,{caption}" for number, caption in enumerate(captions)]
    return "\n".join(["image,caption", *rows]).encode(encoding)


@pytest.mark.parametrize(("encoding", "captions"), _WRITTEN)
def test_a_table_is_read_where_its_encoding_is_clear(
    tmp_path: Path, encoding: str, captions: list[str]
) -> None:
    (tmp_path / "pairs.csv").write_bytes(_table(captions, encoding))
    with opened_text(tmp_path / "pairs.csv") as (file, found):
        assert file.read() == _table(captions, encoding).decode(encoding)
    assert found == ("euc_jis_2004" if encoding == "euc_jp" else encoding)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_WRITTEN + _UNCLEAR), st.data())
def test_no_encoding_is_taken_for_another(
    tmp_path_factory: pytest.TempPathFactory,
    written: tuple[str, list[str]],
    data: st.DataObject,
) -> None:
    """What was written is what is read, or the table or its rows are refused."""
    encoding, known = written
    captions = data.draw(st.lists(st.sampled_from(known), min_size=1, unique=True))
    captions += data.draw(st.lists(st.sampled_from(["a dog", "two cats, 3 m", "OK!"]), max_size=2))
    cased = data.draw(st.sampled_from([str, str.capitalize]))
    held = _table([cased(caption) for caption in captions], encoding)
    table = tmp_path_factory.getbasetemp() / "letters.csv"
    table.write_bytes(held)
    try:
        with opened_text(table) as (file, _):
            read = file.read()
    except UsageError:
        return
    assert read == held.decode(encoding) or BROKEN.search(read)


@pytest.mark.parametrize(("encoding", "captions"), _UNCLEAR)
def test_unclear_letters_are_refused(tmp_path: Path, encoding: str, captions: list[str]) -> None:
    write_pictures(tmp_path, *(f"{number}.png" for number in range(len(captions))))
    put(tmp_path / "pairs.csv", _table(captions, encoding))
    with pytest.raises(UsageError, match=r"save it as UTF-8|× wrong encoding"):
        read_folder(tmp_path)


def test_a_refusal_names_the_encodings_and_a_word_in_which_they_differ(tmp_path: Path) -> None:
    put(tmp_path / "pairs.csv", _table(["un gatto", "un caffè nero"], "cp1252"))
    said = r"pairs\.csv is not in UTF-8.* cp1252 \(.*caffè\).* or cp1250 \(caffč\)"
    with pytest.raises(UsageError, match=said):
        check_folder(tmp_path)


def test_a_few_foreign_letters_are_no_other_language(tmp_path: Path) -> None:
    captions = [*_LANGUAGES["French cp1252 mac_roman"].split("|")] * 5 + ["un jalapeño"]
    (tmp_path / "pairs.csv").write_bytes(_table(captions, "cp1252"))
    with opened_text(tmp_path / "pairs.csv") as (_, found):
        assert found == "cp1252"


def test_one_line_in_utf8_says_that_the_others_are_broken(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png", "b.png", "c.png")
    lines = b"image,caption\na.png,caf\xe9\n" + b"b.png,b\n" * 150_000
    put(tmp_path / "pairs.csv", lines + "c.png,café\n".encode())
    assert problems(tmp_path)[0][:2] == ("pairs.csv, line 2", "wrong encoding")
