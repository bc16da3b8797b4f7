"""Questions: what they ask, that the answers are right, and that splits share no phrasing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.questions import (
    CHOICES,
    CLOZE,
    NUMBERS,
    TEXTUAL,
    VISUAL,
    Question,
    answers_of,
    question_texts,
    text_questions,
    visual_questions,
)
from erasekit.data.drawn.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldSpec(concepts=12, pictures=6, scenes=6, image_size=32, languages=("en",)))


@pytest.fixture(scope="module")
def by_name(world):
    return {c.name: c for c in world.concepts}


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_visual_answers_are_what_the_picture_shows(world, by_name, split):
    asked = visual_questions(world, split)
    samples = world.samples(split)
    assert len(asked.images) == len(samples) * (2 if split == "train" else 1)
    seen = set()
    for question in asked:
        sample, mirrored = samples[question.image % len(samples)], question.image >= len(samples)
        shown = tuple(world.concept(i).name for i in sample.concepts)
        assert question.about == shown
        seen.add(question.kind)
        if question.kind == "name":
            assert question.answer == shown[0] and len(shown) == 1
        elif question.kind == "group":
            assert question.answer == by_name[shown[0]].group and len(shown) == 1
        elif question.kind == "how many":
            assert question.answer == NUMBERS[len(shown) - 1] and len(shown) > 1
        elif question.kind == "left":
            assert len(shown) == 2 and sample.layout == "row"
            assert question.choices == tuple(sorted(shown))
            assert all(by_name[name].phrase in question.text for name in shown)
            across = [centre[0] * (-1 if mirrored else 1) for centre in sample.centres]
            assert question.answer == shown[0 if across[0] < across[1] else 1]
        else:
            named = [
                c.phrase for c in world.concepts if re.search(rf"\b{c.phrase}\b", question.text)
            ]
            there = any(by_name[n].phrase in named for n in shown)
            assert question.answer == ("yes" if there else "no")
    assert seen == set(VISUAL)


def test_training_shows_every_picture_mirrored_as_well(world):
    asked, pairs = visual_questions(world, "train"), world.pairs("train")
    n = len(pairs.images)
    assert np.array_equal(asked.images[:n], pairs.images)
    for there, mirrored in zip(asked.images[:n], asked.images[n:], strict=True):
        assert np.array_equal(np.flip(np.asarray(there), axis=2), mirrored)
    assert {q.image for q in asked} == set(range(2 * n))


def test_the_order_in_which_two_things_are_named_does_not_tell_which_is_left(world):
    asked = [q for q in visual_questions(world, "train") if q.kind == "left"]
    concepts = {c.name: c.phrase for c in world.concepts}
    first = [
        q.text.index(concepts[q.answer])
        < min(q.text.index(concepts[name]) for name in q.about if name != q.answer)
        for q in asked
    ]
    assert 0.35 < sum(first) / len(first) < 0.65


def test_text_answers_are_the_concepts_own(world, by_name):
    asked = text_questions(world, "test")
    assert {q.kind for q in asked} == {*TEXTUAL, "cloze"}
    for question in asked:
        concept = by_name[question.about[0]]
        assert concept.phrase in question.text and not concept.holdout
        if question.kind == "cloze":
            assert question.text.count("__") == 1 and question.image is None
            topic = next(t for t, of in CLOZE.items() if _unfilled(question, concept) == of[-1])
            own = {"group": concept.group, **concept.attributes}
            assert question.answer == own[topic]
            continue
        expected = concept.group if question.kind == "group" else concept.attributes[question.kind]
        assert question.answer == expected and question.image is None


def _unfilled(question: Question, concept) -> str:
    """A cloze's phrasing, its verb in the singular."""
    text = question.text.replace(concept.phrase, "{}")
    for verb, either in (("{belongs}", "belongs?"), ("{has}", "has|have")):
        text = re.sub(rf"\b({either})\b", verb, text)
    return text


def test_the_last_phrasing_is_kept_from_training(world):
    def masked(questions):
        phrases = sorted((c.phrase for c in world.concepts), key=len, reverse=True)
        return {re.sub("|".join(map(re.escape, phrases)), "{}", q.text) for q in questions}

    for make in (visual_questions, text_questions):
        trained, tested = masked(make(world, "train")), masked(make(world, "test"))
        assert trained.isdisjoint(tested)
        assert masked(make(world, "validation")) == tested


def test_every_test_word_is_in_some_training_phrasing():
    """A held-out phrasing is another way to say it, not another language."""
    every = [*VISUAL.values(), *TEXTUAL.values(), *CLOZE.values()]
    known = set(re.findall(r"[\w{}]+", " ".join(p for of in every for p in of[:-1])))
    for phrasings in every:
        assert set(re.findall(r"[\w{}]+", phrasings[-1])) <= known


def test_questions_repeat_by_seed_and_differ_by_world_seed(world):
    again = World(world.spec)
    assert visual_questions(again, "train").items == visual_questions(world, "train").items
    other = World(WorldSpec(**{**world.spec.as_dict(), "seed": 1}))
    assert visual_questions(other, "train").items != visual_questions(world, "train").items


def test_half_of_the_yes_no_questions_are_answered_with_yes(world):
    answers = [q.answer for q in visual_questions(world, "train") if q.kind == "yes/no"]
    assert 0.35 < answers.count("yes") / len(answers) < 0.65


def test_plurals_are_asked_about_as_plurals():
    world = World(WorldSpec(image_size=32, pictures=1, scenes=0))
    texts = [q.text for q in text_questions(world, "train") if q.about == ("grapes",)]
    assert "which group do grapes belong to?" in texts
    assert "are grapes something to eat?" in texts
    assert not [t for t in texts if "does grapes" in t or "is grapes" in t]


def test_a_choice_is_among_answers_of_its_kind_and_holds_the_right_one(world):
    for make in (visual_questions, text_questions):
        asked = make(world, "test")
        for question in asked:
            assert question.answer in question.choices
            assert len(set(question.choices)) == len(question.choices) <= CHOICES
            assert list(question.choices) == sorted(question.choices)
            if question.kind != "cloze":
                wrong = set(question.choices) - {question.answer}
                assert wrong <= set(answers_of(world, question.kind))
        places = [q.choices.index(q.answer) for q in asked if len(q.choices) == CHOICES]
        assert set(places) == set(range(CHOICES)), "the place must not tell"


def test_the_tokenizer_learns_from_all_that_can_be_asked(world):
    texts = set(question_texts(world))
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    for split in ("train", "test"):
        for make in (visual_questions, text_questions):
            asked = {q.text for q in make(world, split) if q.kind != "left"}
            assert asked and asked <= texts
        of_two = {q.text for q in visual_questions(world, split) if q.kind == "left"}
        assert {word for text in of_two for word in re.findall(r"\w+", text)} <= words
