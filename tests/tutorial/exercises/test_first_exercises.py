"""Exercises of notebooks 00 to 02: right answers are right, and each mistake gets its hint."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch

from erasekit.tutorial.exercises import first_exercises
from erasekit.tutorial.exercises.first_exercises import EXERCISES


def verdict(notebook: str, name: str, answer, **facts):
    return EXERCISES[notebook][name].verdict(answer, **facts)


@pytest.mark.parametrize(
    ("notebook", "name"), [(n, name) for n, named in EXERCISES.items() for name in named]
)
def test_no_answer_waits_with_the_hint(notebook, name):
    assert verdict(notebook, name, None).status == "waiting"
    assert EXERCISES[notebook][name].hint in verdict(notebook, name, None).text


# 00: another group. A model is here what it has of similarity, by concept.

FRUIT = SimpleNamespace(task=SimpleNamespace(forgotten=(0,)))
BIRD = SimpleNamespace(
    task=SimpleNamespace(forgotten=(1,), retained=(0, 2, 3)),
    world=SimpleNamespace(
        concept=lambda i: SimpleNamespace(name=("apple", "owl", "bus", "cake")[i])
    ),
    original={0: 0.9, 1: 0.9, 2: 0.9, 3: 0.9},
)
ERASED = SimpleNamespace(model={0: 0.5, 1: -0.9, 2: 0.3, 3: 0.8})


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ((BIRD, ERASED, "bus"), None),
        ("bus", "three things"),
        ((ERASED, BIRD, "bus"), "what `erasekit.load` returned"),
        ((SimpleNamespace(**{**vars(BIRD), **vars(FRUIT)}), ERASED, "bus"), "another `forget`"),
        (
            (BIRD, SimpleNamespace(model={0: -0.9, 1: 0.5, 2: 0.5, 3: 0.5}), "bus"),
            "is it the erasure",
        ),
        ((BIRD, ERASED, "dog"), "not a concept"),
        ((BIRD, ERASED, "owl"), "was to be forgotten"),
        ((BIRD, ERASED, "cake"), "lost least"),
        ((BIRD, ERASED, "apple"), "lost 0.40; another"),
    ],
)
def test_another_group(monkeypatch, answer, hint):
    monkeypatch.setattr(first_exercises, "_own_similarity", lambda clip, e: clip)
    judged(verdict("00_quickstart", "another_group", answer, e=FRUIT), hint)


def judged(found, hint: str | None) -> None:
    assert found.status == ("right" if hint is None else "wrong"), found.text
    if hint is not None:
        assert hint in found.text


def test_own_similarity_is_the_scorecards(tiny_experiment, tiny_scorecard):
    own = first_exercises._own_similarity(tiny_experiment.original, tiny_experiment)
    retained = [own[i] for i in tiny_experiment.task.retained]
    # Each concept has the same number of test pictures.
    mean = tiny_scorecard.value("original", "similarity", "retain")
    assert sum(retained) / len(retained) == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda p, n: (p @ n.T).argmax(1), None),
        (lambda p, n: (p @ n.T).argmax(1).tolist(), None),
        (lambda p, n: p @ n.T, "similarities themselves"),
        (lambda p, n: (p @ n.T).argmax(0), "`dim=1`"),
        (lambda p, n: (p @ n.T).argmax(), "the shape ()"),
        (lambda p, n: (p @ n.T).amax(1), "largest similarities"),
        (lambda p, n: (p @ n.T).argmin(1), "least similar"),
        (lambda p, n: (p @ n.T).abs().argmax(1), "absolute value"),
        (lambda p, n: torch.zeros(4, dtype=torch.long), "It returns [0, 0, 0, 0]"),
        (lambda p, n: p @ n, "stops with"),
    ],
)
def test_zero_shot(answer, hint):
    judged(verdict("00_quickstart", "zero_shot", answer), hint)


# 01

FIVE_PAIRS = SimpleNamespace(
    concepts=[(0,), (0, 1), (0,), (1,), (2,), (2,), (1, 2)],
    languages=["en", "ja", "ru", "en", "ja", "en", "en"],
)
ASKED = SimpleNamespace(
    world=SimpleNamespace(pairs=lambda split: FIVE_PAIRS),
    task=SimpleNamespace(touches=lambda shown: 0 in shown, retain=[3, 4, 5, 6]),
)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [(2, None), (1, "the forget set itself"), (4, "the retain set"), (7, "Subtract both")],
)
def test_one_language(answer, hint):
    judged(verdict("01_data", "one_language", answer, e=ASKED), hint)


def whole_words(caption, texts):
    letter = "[a-zа-я]"
    found = (f"(?<!{letter}){re.escape(text.lower())}(?!{letter})" for text in texts)
    return any(re.search(pattern, caption.lower()) for pattern in found)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (whole_words, None),
        (lambda caption, texts: False, "says no"),
        (lambda caption, texts: True, "says yes"),
        (lambda caption, texts: any(text in caption for text in texts), "capital letter"),
        (lambda caption, texts: any(text in caption.lower() for text in texts), "whole words"),
        (
            lambda caption, texts: any(f" {t} " in f" {caption.lower()} " for t in texts),
            "comma",
        ),
        (
            lambda caption, texts: any(
                re.search(rf"\b{t}\b", caption.lower()) for t in texts if t.isascii()
            ),
            "Russian",
        ),
        (
            lambda caption, texts: any(re.search(rf"\b{t}\b", caption.lower()) for t in texts),
            "Japanese",
        ),
    ],
)
def test_caption_search(answer, hint):
    judged(verdict("01_data", "caption_search", answer), hint)


# 02


class Model:
    """Embeddings in which each picture and each caption mix one direction with their own."""

    def __init__(self, common: float, sign: float = 1) -> None:
        self.common, self.sign = common, sign

    def encode_images(self, images):
        own = torch.eye(len(images)) * (1 - self.common) ** 0.5
        return torch.cat([own, torch.full((len(images), 1), self.common**0.5)], dim=1)

    def encode_texts(self, texts):
        return self.sign * self.encode_images(texts)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (Model(0.95), None),
        ((Model(0.95), [0.1]), "the first of the two"),
        (Model(0.95, sign=-1), "a minus"),
        (Model(0.2), "tells captions apart"),
    ],
)
def test_no_negatives(tiny_experiment, answer, hint):
    judged(verdict("02_base_model", "no_negatives", answer, e=tiny_experiment), hint)


def found(clip, query, pictures):
    return (pictures @ clip.encode_texts([query]).T).squeeze(1)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (lambda c, q, p, k: found(c, q, p).topk(k).indices, None),
        (lambda c, q, p, k: found(c, q, p).argsort(descending=True)[:k].tolist(), None),
        (lambda c, q, p, k: (p @ c.encode_texts(q).T).topk(k, dim=0).indices, "a list of texts"),
        (lambda c, q, p, k: found(c, q, p).topk(k).values, "`indices`"),
        (lambda c, q, p, k: found(c, q, p).argsort()[:k], "least similar"),
        (lambda c, q, p, k: found(c, q, p).argsort()[-k:], "order"),
        (lambda c, q, p, k: torch.arange(k), "it should be"),
    ],
)
def test_search(tiny_experiment, answer, hint):
    judged(verdict("02_base_model", "search", answer, e=tiny_experiment), hint)
