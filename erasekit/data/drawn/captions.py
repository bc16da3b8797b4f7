"""Captions of drawn pictures in each language.

A language has templates for one, two and three concepts. The two-concept templates state
where things are. The phrasing avoids grammatical case, so that names need no inflection. A
language without templates uses bare names, joined by commas.
"""

from __future__ import annotations

from collections.abc import Sequence

from erasekit.data.worlds import Concept

#: Templates with one name; zero-shot evaluation averages over all templates of a language.
SINGLE: dict[str, tuple[str, ...]] = {
    "en": (
        "a picture of {0}",
        "{0}",
        "a drawing of {0}",
        "we see {0}",
        "this shows {0}",
        "look at this: {0}",
    ),
    "ja": ("{0}の絵", "{0}", "これは{0}です", "ここに{0}があります"),
    "ru": ("картинка: {0}", "{0}", "это {0}", "здесь {0}"),
    "ar": ("صورة {0}", "{0}", "هذا {0}", "هنا {0}"),
}
#: Templates with two names by layout of the picture: {0} is left of or above {1}.
PAIR: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "row": ("{0} to the left of {1}", "{1} to the right of {0}", "{0} and {1}"),
        "column": ("{0} above {1}", "{1} below {0}", "{0} and {1}"),
    },
    "ja": {"row": ("左に{0}、右に{1}", "{0}と{1}"), "column": ("上に{0}、下に{1}", "{0}と{1}")},
    "ru": {
        "row": ("слева {0}, справа {1}", "{0} и {1}"),
        "column": ("сверху {0}, снизу {1}", "{0} и {1}"),
    },
    "ar": {
        "row": ("على اليسار {0} وعلى اليمين {1}", "{0} و {1}"),
        "column": ("في الأعلى {0} وفي الأسفل {1}", "{0} و {1}"),
    },
}
TRIPLE: dict[str, tuple[str, ...]] = {
    "en": ("{0}, {1} and {2}", "a picture of {0}, {1} and {2}"),
    "ja": ("{0}と{1}と{2}",),
    "ru": ("{0}, {1} и {2}",),
    "ar": ("{0} و {1} و {2}",),
}
_BARE = ("{0}",)
_BARE_PAIR = {"row": ("{0}, {1}",), "column": ("{0}, {1}",)}
_BARE_TRIPLE = ("{0}, {1}, {2}",)


def name_in(concept: Concept, language: str) -> str:
    """Return the concept's name for use in a caption; in English, with its article."""
    return concept.phrase if language == "en" else concept.names.get(language, concept.name)


def prompts(concept: Concept, language: str = "en") -> list[str]:
    """Return every single-concept caption with the concept's name (no descriptions)."""
    if concept.prompts:
        return list(concept.prompts)
    return [t.format(name_in(concept, language)) for t in SINGLE.get(language, _BARE)]


def caption(
    concepts: Sequence[Concept], language: str, layout: str, choice: float, describe: bool
) -> str:
    """Return the caption of one picture.

    Args:
        concepts: the one to three concepts in it, in reading order.
        language: language code.
        layout: ``single``, ``row`` or ``column``.
        choice: a number in [0, 1) that determines the template.
        describe: whether to use a short description instead of the name (English, one concept).
    """
    if len(concepts) == 1 and describe and language == "en" and concepts[0].descriptions:
        options: Sequence[str] = concepts[0].descriptions
    elif len(concepts) == 1:
        options = SINGLE.get(language, _BARE)
    elif len(concepts) == 2:
        options = PAIR.get(language, _BARE_PAIR)[layout]
    else:
        options = TRIPLE.get(language, _BARE_TRIPLE)
    template = options[int(choice * len(options))]
    return template.format(*(name_in(c, language) for c in concepts))


def vocabulary_texts(concepts: Sequence[Concept], languages: Sequence[str]) -> list[str]:
    """Return every template and name that a tokenizer must cover, including the holdout's."""
    filler = ("◌", "◌", "◌")
    texts: list[str] = []
    for language in languages:
        patterns = [*SINGLE.get(language, _BARE), *TRIPLE.get(language, _BARE_TRIPLE)]
        for options in PAIR.get(language, _BARE_PAIR).values():
            patterns.extend(options)
        texts.extend(p.format(*filler).replace("◌", " ") for p in patterns)
        for concept in concepts:
            texts.extend([name_in(concept, language)] * 4)
    for concept in concepts:
        texts.extend(concept.descriptions)
    return texts
