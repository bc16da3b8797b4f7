"""Captions that a rule nearly selects: its words in other forms, and inside longer words."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np

from erasekit.data.folder.selection import NAMES, Part, Request
from erasekit.extras import needed
from erasekit.text import folded

#: Kinds of near misses, each with a description.
WORDS = {
    "whole_words": "captions with the name as a word",
    "other_forms": "captions with the word in another form",
    "longer_words": "captions with the word inside a longer one",
    "other_case": "captions that the expression finds in another case",
}
_WORD = re.compile(r"\w+")
# Languages of the stemmers: word forms of any of them count.
_LANGUAGES = ("english", "german", "french", "spanish", "italian", "portuguese", "russian")


def near_words(request: Request) -> dict[str, np.ndarray]:
    """Return the unselected rows whose captions nearly match the rule, by the kinds of `WORDS`."""
    pairs, found = request.pairs, {kind: np.zeros(len(request.pairs), dtype=bool) for kind in WORDS}
    for part in request.parts:
        if part.kind == "regex":
            found["other_case"] |= pairs.matches(part.value, ignore_case=True)
        elif part.kind != "files":
            text = folded(part.value)
            first = _WORD.findall(text)[:1] or [text]
            # Forms of a word share its middle part, which preselects few captions.
            middle = first[0][1:4] if len(first[0]) > 4 else first[0][:3]
            rows = pairs.matches(re.escape(middle), fold=True) & ~request.selected
            for row in np.flatnonzero(rows).tolist():
                if kind := _kind(part, text, folded(pairs.caption(row))):
                    found[kind][row] = True
    return {kind: np.flatnonzero(rows & ~request.selected) for kind, rows in found.items()}


def _kind(part: Part, text: str, caption: str) -> str | None:
    """Return how a caption contains the words of a part, or None."""
    asked, words = _WORD.findall(text), _WORD.findall(caption)
    for start in range(len(words) - len(asked) + 1):
        run = words[start : start + len(asked)]
        if asked and run == asked:
            return "whole_words" if part.kind in NAMES else "other_forms"
        if asked and all(map(_one_word, asked, run)):
            return "other_forms"
    return "longer_words" if text in caption else None


@cache
def _one_word(one: str, other: str) -> bool:
    """Whether two words are forms of one word: equal without accents, or with the same stem."""
    if _plain(one) == _plain(other):
        return True
    if one[:2] != other[:2]:
        return False
    return any(stem.stemWord(one) == stem.stemWord(other) for stem in _stemmers())


@cache
def _stemmers() -> list:
    stemmer = needed("snowballstemmer", "data", "finding other forms of a word").stemmer
    return [stemmer(language) for language in _LANGUAGES]


def _plain(word: str) -> str:
    decomposed = unicodedata.normalize("NFD", word)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
