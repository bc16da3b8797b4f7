"""Which encodings of a Latin alphabet make plausible words of some bytes."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache
from string import ascii_letters

# Encodings of Windows, ISO, the old Macintosh and DOS; where several give one text, the first.
_ENCODINGS = (
    *("cp1252", "cp1250", "cp1254", "cp1257", "iso8859_15", "iso8859_2", "iso8859_3", "iso8859_4"),
    *("mac_roman", "mac_latin2", "mac_turkish", "cp850", "cp852", "cp857"),
)
# The letters of a language beside a to z. It is written in the encodings that have them all.
_ALPHABETS = {
    "Catalan": "àçèéíïòóúü",
    "Croatian": "ćčđšž",
    "Czech": "áčďéěíňóřšťúůýž",
    "Danish": "åæéø",
    "Dutch": "áèéëïíóöúü",
    "Esperanto": "ĉĝĥĵŝŭ",
    "Estonian": "äõöšüž",
    "Finnish": "äåöšž",
    "French": "àâæçèéêëîïôœùûüÿ",
    "German": "äöüß",
    "Hungarian": "áéíóöőúüű",
    "Icelandic": "áæéíðóöþúý",
    "Italian": "àèéìíîòóù",
    "Latvian": "āčēģīķļņšūž",
    "Lithuanian": "ąčęėįšųūž",
    "Maltese": "àċġħż",
    "Polish": "ąćęłńóśźż",
    "Portuguese": "àáâãçéêíóôõúü",
    "Romanian": "ăâîşţ",
    "Slovak": "áäčďéíĺľňóôŕšťúýž",
    "Spanish": "áéíñóúü",
    "Swedish": "äåéö",
    "Turkish": "âçğıîöşûü",
}
# The share of letters beside a to z that may be foreign to the language, in the text that is
# taken, and in one that could be meant.
_TAKEN, _POSSIBLE = 0.03, 0.08
_ASCII = frozenset(ascii_letters)
# What stands between words and beside them.
_BETWEEN = re.compile(r"[\s!-@\[-`{-~–—·]+|(?<=\w)’(?=\w)")
_SIGNS = "•°€£©®™×²½"
_CONTROL = re.compile("[\x80-\x9f]")
# Quotes, dashes and signs in English text: it’s, “one”, 5 °C.
_TYPED = re.compile(
    r"(?<=[A-Za-z])’(?=(s|t|re|ll|d|m|ve)\b)|(?<=s)’(?=\s|$)|(?<![^\s(,])[“‘](?=\w)"
    r"|(?<=[\w.,!?])[”’](?=[\s.,;!?)\"]|$)|(?<=[\s\d])[–—](?=[\s\d])|(?<=\w)…"
    r"|(?<![^\W\d])[°€£](?![^\WCF\d])"
)
# None of them is a frequent word of the languages above.
_ENGLISH = re.compile(r"(?i)\b(the|and|with|it|this|that|is|his|her|to|for|at|on|from|by)\b")


def latin_readings(held: bytes) -> dict[str, str]:
    """Decode bytes with each Latin encoding that makes plausible words of them.

    Returns:
        Different texts by encoding. More than one means that the bytes do not say which of them
        was written.
    """
    found: dict[str, tuple[float, str]] = {}
    typed: dict[str, str] = {}
    for encoding in _ENCODINGS:
        try:
            text = held.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _CONTROL.search(text) or _is_mostly_signs(text):
            continue
        if text.count("“") == text.count("”") and _TYPED.sub("", text).isascii():
            typed = typed or {encoding: text}
            continue
        share = _foreign_share(text, encoding)
        if text not in found or share < found[text][0]:
            found[text] = share, encoding
    if typed and _is_english(*typed.values()):
        return typed
    if all(share > _TAKEN for share, _ in found.values()):
        return typed
    likely = {encoding: text for text, (share, encoding) in found.items() if share <= _POSSIBLE}
    return typed | likely


def _is_mostly_signs(text: str) -> bool:
    """Whether the words with letters beside a to z have more of these than of a to z."""
    told = "".join(word for word in re.split(r"[\s,;]", text) if not word.isascii())
    return sum(not each.isascii() for each in told) > max(1, sum(map(_ASCII.__contains__, told)))


def _is_english(text: str) -> bool:
    """Whether at least a third of the lines have one of the most frequent English words."""
    lines = text.splitlines()
    return sum(bool(_ENGLISH.search(line)) for line in lines) * 3 >= len(lines)


def _foreign_share(text: str, encoding: str) -> float:
    """Return the share of letters that are foreign, in the language with the fewest."""
    letters: Counter[str] = Counter()
    for word, times in Counter(words_in(text)).items():
        told = [letter for letter in word.replace("İ", "ı").lower() if not letter.isascii()]
        for letter in told:
            letters[letter if is_word(word) else ""] += times
    fewest = min(
        sum(times for letter, times in letters.items() if letter not in alphabet)
        for alphabet in _alphabets(encoding)
    )
    return fewest / max(1, letters.total())


@cache
def _alphabets(encoding: str) -> list[set[str]]:
    """Return the alphabets of the languages that are written in an encoding."""
    fits = (a for a in _ALPHABETS.values() if a == a.encode(encoding, "ignore").decode(encoding))
    return [set(alphabet) for alphabet in fits]


def words_in(text: str, quotes: str = "“”‘’„«»…¿¡") -> list[str]:
    """Split a text into words, without the signs beside them."""
    words = (word.strip(quotes).lstrip("°") for word in _BETWEEN.split(text))
    return [word for word in words if word.strip(_SIGNS)]


def is_word(word: str, latin: bool = True) -> bool:
    """Whether these are letters of one alphabet, with no capital after a small letter.

    A word in a Latin alphabet has one of the letters a to z, unless it is a single letter.
    """
    cased = word in (word.lower(), word.upper(), word[:1] + word[1:].lower())
    letters = word[0].isalpha() and all(unicodedata.category(each)[0] in "LM" for each in word)
    return letters and cased and (len(word) == 1 or _ASCII.isdisjoint(word) != latin)
