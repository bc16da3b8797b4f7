"""Detect the encoding of a text file, or refuse it if several readings are possible."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from erasekit.data.folder.latin_letters import is_word, latin_readings, words_in
from erasekit.errors import UsageError
from erasekit.text import shown

_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# Bytes that are inspected.
_SAMPLE = 1_000_000
# Encodings of other alphabets, and of thousands of characters, as `charset_normalizer` names them.
_OTHERS = (
    *("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic"),
    *("cp1253", "iso8859_7", "cp1255", "cp1256", "cp874"),
)
_WIDE = ("cp932", "euc_jis_2004", "gb18030", "big5", "cp949")
# By how much every other encoding must be less plausible, in one of the two measures.
_CHAOS, _COHERENCE = 0.08, 0.2
# The share of words that may be odd in the text that is taken, and in one that could be meant.
_ODD, _ODDER = 0.03, 0.05
# Fewer bytes than these do not tell other alphabets from each other.
_FEWEST = 36
# Japanese letters of half the width, as other alphabets look in Japanese encodings.
_NARROW = re.compile("[\uff61-\uff9f]")
# Letters of two alphabets in one word, as other encodings look when they are valid UTF-8.
_MIXED = re.compile("[a-zA-Z][\u0370-\u07ff]|[\u0370-\u07ff][a-zA-Z]")


def encoding_of(file: io.BufferedReader) -> str:
    """Return the encoding of a file: ``utf-8-sig`` also where no other one is plausible.

    Raises:
        UsageError: when a Latin alphabet can be read in several ways.
    """
    head = file.read(_SAMPLE)
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    for encoding, start in (("utf-16-le", 1), ("utf-16-be", 0)):  # without a byte order mark
        if len(head) > 1 and not any(head[start:64:2]):
            return encoding
    whole = head if len(head) < _SAMPLE else head[: head.rfind(b"\n")]
    told = [line for line in whole.splitlines() if not line.isascii()]
    if not told or any(map(_is_utf8, told)):
        return "utf-8-sig"
    file.seek(0)  # one valid UTF-8 line means that the other lines are broken
    if any(not line.isascii() and _is_utf8(line) for line in file):
        return "utf-8-sig"
    sample = b"\n".join(told)
    latin = latin_readings(sample)
    if len(latin) > 1:
        raise UsageError(_unclear(file.name, latin))
    return next(iter(latin), "") or _other(sample) or "utf-8-sig"


def _is_utf8(line: bytes) -> bool:
    try:
        return not _MIXED.search(line.decode())
    except UnicodeDecodeError:
        return False


def _unclear(table: str, readings: dict[str, str]) -> str:
    """Name the possible encodings, each with a word in which they differ."""
    words = zip(*(re.findall(r"(?a)\S+", text) for text in readings.values()), strict=True)
    differing = next(each for each in words if len(set(each)) > 1)
    told = " or ".join(f"{name} ({shown(w)})" for name, w in zip(readings, differing, strict=True))
    return f"{Path(table).name} is not in UTF-8, and may be in {told}: save it as UTF-8"


def _other(sample: bytes) -> str:
    """Return the encoding of another alphabet that is clearly the most plausible, or none."""
    from charset_normalizer import from_bytes

    if sum(byte > 127 for byte in sample) < _FEWEST:
        return ""
    found = [
        (match, share)
        for match in from_bytes(sample, cp_isolation=[*_OTHERS, *_WIDE], threshold=0.2)
        if (share := _odd_share(str(match))) <= (0.3 if match.encoding in _WIDE else _ODDER)
    ]
    if not found:
        return ""
    best, share = max(found, key=lambda each: (each[0].coherence, -each[0].chaos))
    odd = best.encoding not in _WIDE and share > _ODD
    if odd or any(_as_likely(match, best) for match, _ in found if match is not best):
        return ""
    return best.encoding


def _odd_share(text: str) -> float:
    """Return the share of words beside ASCII that are not words of one other alphabet."""
    if "".join(letter for letter in text if not letter.isascii()).isupper():
        return 1  # as letters without case look in another alphabet
    words = [word for word in words_in(text, "“”„«»…") if not word.isascii()]
    odd = (_NARROW.search(word) or not is_word(word, latin=False) for word in words)
    return sum(map(bool, odd)) / max(1, len(words))


def _as_likely(match: Any, best: Any) -> bool:
    """Return whether another encoding reads the bytes as another, about as plausible text."""
    odder = match.chaos - best.chaos >= _CHAOS
    return not odder and best.coherence - match.coherence < _COHERENCE and str(match) != str(best)
