"""Captions: enough templates, true relations, and nothing cut short."""

from __future__ import annotations

import re
import unicodedata

import pytest

from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.captions import SINGLE, caption, name_in, prompts, vocabulary_texts
from erasekit.data.drawn.concepts import curated
from erasekit.data.drawn.world import World

LANGUAGES = ("en", "ja", "ru", "ar")
#: What each language says of two things, (relation, first, second) in the sentence's order.
RELATIONS = {
    "en": {
        "left": r"^(?P<a>.+) to the left of (?P<b>.+)$",
        "right": r"^(?P<a>.+) to the right of (?P<b>.+)$",
        "above": r"^(?P<a>.+) above (?P<b>.+)$",
        "below": r"^(?P<a>.+) below (?P<b>.+)$",
    },
    "ja": {"left": r"^左に(?P<a>.+)、右に(?P<b>.+)$", "above": r"^上に(?P<a>.+)、下に(?P<b>.+)$"},
    "ru": {
        "left": r"^слева (?P<a>.+), справа (?P<b>.+)$",
        "above": r"^сверху (?P<a>.+), снизу (?P<b>.+)$",
    },
    "ar": {
        "left": r"^على اليسار (?P<a>.+) وعلى اليمين (?P<b>.+)$",
        "above": r"^في الأعلى (?P<a>.+) وفي الأسفل (?P<b>.+)$",
    },
}


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldSpec(concepts=16, pictures=2, scenes=24, held_out_pictures=3))


def test_there_are_templates_enough_in_several_scripts() -> None:
    assert len(set(SINGLE["en"])) >= 6
    assert len(SINGLE) >= 4
    scripts = {
        unicodedata.name(
            next(ch for ch in name_in(curated()[0], language) if ch.isalpha())
        ).split()[0]
        for language in SINGLE
    }
    assert scripts >= {"LATIN", "CYRILLIC", "ARABIC"}
    assert scripts & {"HIRAGANA", "KATAKANA", "CJK"}


def test_english_captions_use_every_template_and_the_descriptions() -> None:
    apple = curated()[0]
    told = {
        caption([apple], "en", "single", (i + 0.5) / 60, describe)
        for i in range(60)
        for describe in (False, True)
    }
    assert told == {*prompts(apple), *apple.descriptions}


def test_only_english_describes() -> None:
    apple = curated()[0]
    assert apple.names["ja"] in caption([apple], "ja", "single", 0.1, True)


def test_relations_are_true_of_the_picture(world: World) -> None:
    seen = set()
    for sample in world.samples("train"):
        if len(sample.concepts) != 2:
            continue
        for language in LANGUAGES:
            text = world.caption(sample, language)
            place = {
                name_in(world.concept(c), language): centre
                for c, centre in zip(sample.concepts, sample.centres, strict=True)
            }
            for relation, pattern in RELATIONS[language].items():
                found = re.match(pattern, text)
                if not found:
                    continue
                seen.add((language, relation))
                (ax, ay), (bx, by) = place[found["a"]], place[found["b"]]
                true = {"left": ax < bx, "right": ax > bx, "above": ay < by, "below": ay > by}
                assert true[relation], text
    assert seen == {(language, r) for language, known in RELATIONS.items() for r in known}


@pytest.mark.parametrize("language", [*LANGUAGES, "ko"])
def test_a_caption_names_everything_in_the_picture(world: World, language: str) -> None:
    for sample in world.samples("train"):
        if len(sample.concepts) > 1:
            text = world.caption(sample, language)
            for concept in sample.concepts:
                assert name_in(world.concept(concept), language) in text


def test_the_vocabulary_holds_the_holdout_and_every_language(world: World) -> None:
    texts = set(vocabulary_texts(world.concepts, LANGUAGES))
    for concept in world.concepts:
        assert {name_in(concept, language) for language in LANGUAGES} <= texts
        assert set(concept.descriptions) <= texts
