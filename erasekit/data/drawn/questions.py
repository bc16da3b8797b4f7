"""Visual and text questions about the drawn world, for a multimodal language model.

A visual question needs its picture ("what is this?"); a text question has none ("what is the
colour of a red apple?"). Only the appearance of a thing is to be forgotten, so the two kinds
are kept apart. Each kind has several phrasings; the last one is held out from training.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from erasekit.data.drawn.concepts import ATTRIBUTES
from erasekit.data.question_list import Question, Questions
from erasekit.data.worlds import SPLITS, Concept, DrawingWorld, Sample

#: Phrasings per visual kind. Each `{}` is a thing with its article. The last is held out.
VISUAL: dict[str, tuple[str, ...]] = {
    "name": (
        "what is this?",
        "what does the picture show?",
        "name the thing in the picture.",
        "which thing do you see?",
        "which thing does the picture show?",
    ),
    "group": (
        "which group does this belong to?",
        "what is the group of this thing?",
        "tell me the group of the thing in the picture.",
        "which group has the thing that you see?",
        "what is the group of the thing in the picture?",
    ),
    "yes/no": (
        "is this {}?",
        "does the picture show {}?",
        "do you see {}?",
        "is the thing in the picture {}?",
        "do you see {} in the picture?",
    ),
    "how many": (
        "how many things do you see?",
        "how many things does the picture show?",
        "count the things in the picture.",
        "tell me how many things this shows.",
        "how many things do you see in the picture?",
    ),
    "left": (
        "which is on the left, {} or {}?",
        "which thing is on the left, {} or {}?",
        "what is to the left, {} or {}?",
        "tell me which is to the left, {} or {}.",
        "which thing is to the left, {} or {}?",
    ),
}
#: Phrasings per text kind. The last is held out.
TEXTUAL: dict[str, tuple[str, ...]] = {
    "group": (
        "which group {does} {} belong to?",
        "what is the group of {}?",
        "tell me the group of {}.",
        "which group has {} in it?",
        "which group would you put {} in?",
        "tell me which group {does} {} belong to.",
    ),
    "colour": (
        "what is the colour of {}?",
        "tell me the colour of {}.",
        "which colour would you give {}?",
        "which colour {does} {} have?",
        "what colour {does} {} have?",
        "tell me what colour {does} {} have.",
    ),
    "edible": (
        "can you eat {}?",
        "would you eat {}?",
        "tell me if you can eat {}.",
        "{is} {} something to eat?",
        "{is} {} something that you can eat?",
    ),
    "flies": (
        "can {} fly?",
        "{does} {} fly?",
        "tell me if {} can fly.",
        "{is} {} something to see fly?",
        "{is} {} something that can fly?",
    ),
    "found": (
        "where do you find {}?",
        "where would you look for {}?",
        "in which place would you see {}?",
        "tell me where you find {}.",
        "tell me where you would look for {}.",
    ),
}
#: Sentences with a gap, by the kind of the answer. The last is held out.
CLOZE: dict[str, tuple[str, ...]] = {
    "group": (
        "{} {belongs} to the group __.",
        "the group of {} is __.",
        "to the group __ {belongs} {}.",
    ),
    "colour": (
        "the colour of {} is __.",
        "{} {has} the colour __.",
        "__ is the colour of {}.",
    ),
    "found": (
        "you find {} in this place: __.",
        "the place where you look for {} is __.",
        "in this place you look for {}: __.",
    ),
}
NUMBERS = ("one", "two", "three")
#: Questions about left and right per training scene: learning this takes many examples.
LEFT_QUESTIONS = 5
#: Options of a multiple-choice question, including the right answer.
CHOICES = 4


def visual_questions(world: DrawingWorld, split: str) -> Questions:
    """Return questions about every picture of a split.

    For a single: its name, its group, and a yes/no question whether it is a given thing (half
    are "yes"; training has both). For a scene: the number of things, and for a row of things
    which of two is on the left (in training, `LEFT_QUESTIONS` times). Training also contains
    every picture mirrored, with left and right swapped in the answers. The world's seed, the
    split and the picture's position determine each question. Training uses all phrasings but
    the last, the other splits only the last.
    """
    samples, images = world.samples(split), world.pairs(split).images
    shown = [(sample, False) for sample in samples]
    if split == "train":
        images = torch.cat([images, images.flip(3)])
        shown += [(sample, True) for sample in samples]
    items = []
    offer = _Offer(world, split, 2)
    for place, (sample, mirrored) in enumerate(shown):
        rng = np.random.default_rng([world.spec.seed, 1, SPLITS.index(split), place])
        for kind, answer, named in _about(world, sample, rng, mirrored, split == "train"):
            items.append(
                Question(
                    _filled(_phrase(rng, VISUAL[kind], split), *named),
                    answer,
                    kind,
                    tuple(world.concept(i).name for i in sample.concepts),
                    place,
                    tuple(sorted(c.name for c in named))
                    if kind == "left"
                    else offer.choices(kind, answer),
                )
            )
    return Questions(tuple(items), images)


def _about(
    world: DrawingWorld, sample: Sample, rng: np.random.Generator, mirrored: bool, training: bool
) -> Iterator[tuple[str, str, list[Concept]]]:
    """Yield kind, answer, and the things that the question names."""
    things = [world.concept(i) for i in sample.concepts]
    first = things[0]
    if len(things) > 1:
        yield "how many", NUMBERS[len(things) - 1], []
        if len(things) == 2 and sample.layout == "row":
            left = things[1] if mirrored else first
            for _ in range(LEFT_QUESTIONS if training else 1):
                yield "left", left.name, [things[i] for i in rng.permutation(2)]
        return
    yield "name", first.name, []
    yield "group", first.group, []
    is_it = rng.random() < 0.5
    if is_it or training:
        yield "yes/no", "yes", [first]
    if not is_it or training:
        known = world.holdout if first.holdout else world.trained
        other = int(rng.choice([i for i in known if i != first.index]))
        yield "yes/no", "no", [world.concept(other)]


def text_questions(world: DrawingWorld, split: str) -> Questions:
    """Return text questions about every trained concept: its group, its attributes, and gaps.

    Training uses all phrasings but the last, the other splits only the last.
    """
    items = []
    offer = _Offer(world, split, 3)
    asked = [(kind, kind, phrasings) for kind, phrasings in TEXTUAL.items()]
    asked += [("cloze", topic, phrasings) for topic, phrasings in CLOZE.items()]
    for index in world.trained:
        concept = world.concept(index)
        for kind, topic, phrasings in asked:
            answer = concept.group if topic == "group" else concept.attributes.get(topic)
            if answer:
                items += [
                    Question(
                        _filled(phrasing, concept),
                        answer,
                        kind,
                        (concept.name,),
                        None,
                        offer.choices(topic, answer),
                    )
                    for phrasing in (phrasings[:-1] if split == "train" else phrasings[-1:])
                ]
    return Questions(tuple(items), world.pairs(split).images)


class _Offer:
    """Options of the questions: wrong answers of the same kind, drawn from the seed."""

    def __init__(self, world: DrawingWorld, split: str, stream: int) -> None:
        self._world, self._answers = world, {}
        self._rng = np.random.default_rng([world.spec.seed, stream, SPLITS.index(split)])

    def choices(self, kind: str, answer: str) -> tuple[str, ...]:
        """Return the right answer and some wrong ones, in alphabetical order."""
        if kind not in self._answers:
            self._answers[kind] = answers_of(self._world, kind)
        wrong = [known for known in self._answers[kind] if known != answer]
        drawn = self._rng.permutation(len(wrong))[: CHOICES - 1]
        return tuple(sorted([answer, *(wrong[i] for i in drawn)]))


def answers_of(world: DrawingWorld, kind: str) -> tuple[str, ...]:
    """Return every possible answer to questions of this kind."""
    trained = [world.concept(i) for i in world.trained]
    if kind in ("name", "left"):
        return tuple(c.name for c in trained)
    if kind == "group":
        return tuple(dict.fromkeys(c.group for c in trained))
    if kind == "how many":
        return NUMBERS
    if kind in ATTRIBUTES:
        return tuple(dict.fromkeys(c.attributes[kind] for c in trained if kind in c.attributes))
    return ("yes", "no")


def question_texts(world: DrawingWorld) -> list[str]:
    """Return every phrasing about every concept, and every answer, to train a tokenizer.

    Holdout concepts and held-out phrasings are included: a model never trains on them, but
    must be able to encode them.
    """
    every = (*VISUAL.values(), *TEXTUAL.values(), *CLOZE.values())
    phrasings = [p for of in every for p in of]
    texts = [_filled(phrasing, c, c) for phrasing in phrasings for c in world.concepts]
    texts += [word for c in world.concepts for word in (c.name, c.group, *c.attributes.values())]
    return [*texts, *NUMBERS]


def _phrase(rng: np.random.Generator, phrasings: tuple[str, ...], split: str) -> str:
    return phrasings[int(rng.integers(len(phrasings) - 1)) if split == "train" else -1]


def _filled(phrasing: str, *concepts: Concept) -> str:
    """Fill a phrasing with concepts; its verbs agree with the first one."""
    plural = bool(concepts) and not concepts[0].article and concepts[0].name.endswith("s")
    verbs = _PLURAL if plural else {verb: verb for verb in _PLURAL}
    return phrasing.format(*(c.phrase for c in concepts), **verbs)


_PLURAL = {"does": "do", "is": "are", "has": "have", "belongs": "belong"}
