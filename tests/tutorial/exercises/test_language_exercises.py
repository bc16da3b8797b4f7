"""Judges of the exercises on language models: right answers, and the hint for each mistake."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from erasekit.tutorial.exercises.language_exercises import EXERCISES

LANGUAGE_MASK = EXERCISES["11_multimodal_llm"]["language_mask"]
DAMAGE = EXERCISES["12_downstream"]["damage"]
TOWER, PROJECTOR = "model.vision_tower.w", "model.multi_modal_projector.w"


class Model:
    """A language model of two weights."""

    def __init__(self, tower: float = 0.0, projector: float = 0.0) -> None:
        weights = {TOWER: torch.tensor(tower), PROJECTOR: torch.tensor(projector)}
        self.model = SimpleNamespace(state_dict=lambda: weights)
        self.fingerprint = lambda: (tower, projector)
        self.with_tower = lambda other: Model(other, projector)

    def answer(self) -> None: ...


#: An experiment whose oracle CLIP has the tower 7.
E = SimpleNamespace(original=Model(), clip=SimpleNamespace(oracle=7.0))


@pytest.mark.parametrize("exercise", [e for of in EXERCISES.values() for e in of.values()])
def test_without_an_answer_it_waits(exercise) -> None:
    assert exercise.verdict(None).status == "waiting"


def test_a_function_without_a_body_waits() -> None:
    assert LANGUAGE_MASK.verdict(lambda *_: None).status == "waiting"
    assert DAMAGE.verdict(lambda *_: None).status == "waiting"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (Model(projector=1.0), None),
        (SimpleNamespace(history=[]), "`.model`"),
        (3, "not int"),
        (Model(), "No weight differs"),
        (Model(1.0, 1.0), "moves="),
    ],
)
def test_projector(answer: Any, hint: str | None) -> None:
    check(EXERCISES["11_multimodal_llm"]["projector"].verdict(answer, e=E), hint)


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (Model(7.0), None),
        ("a tower", "not str"),
        (Model(), "the original"),
        (Model(7.0, 1.0), "differs too"),
        (Model(6.0), "not the one of"),
    ],
)
def test_oracle_tower(answer: Any, hint: str | None) -> None:
    check(EXERCISES["12_downstream"]["oracle_tower"].verdict(answer, e=E), hint)


def mask_by(preserve: Any, eps: float = 1e-15) -> Any:
    def answer(forget, retain, text, share):
        return (forget + eps) / (preserve(retain, text, share) + eps) >= 1

    return answer


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (mask_by(lambda r, t, s: (1 - s) * r + s * t), None),
        (mask_by(lambda r, t, s: r), "leaves out the text"),
        (mask_by(lambda r, t, s: t), "leaves out the retained"),
        (mask_by(lambda r, t, s: s * r + (1 - s) * t), "swaps"),
        (mask_by(lambda r, t, s: (r + t) / 2), "alike"),
        (mask_by(lambda r, t, s: r + t), "adds"),
        (mask_by(lambda r, t, s: (1 - s) * r + s * t, eps=0), "ε"),
        (lambda f, r, t, s: (0.75 * r + 0.25 * t + 1e-15) / (f + 1e-15) >= 1, "wrong way round"),
        (lambda f, r, t, s: f / r, "bool tensor"),
        (lambda f, r, t, s: f > 100, "it gives"),
    ],
)
def test_language_mask(answer: Any, hint: str | None) -> None:
    check(LANGUAGE_MASK.verdict(answer), hint)


def share_of(wrong: Any, of: Any) -> Any:
    def answer(before, after, truth):
        rows = list(zip(before, after, truth, strict=True))
        return sum(wrong(*row) for row in rows) / sum(of(*row) for row in rows)

    return answer


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (share_of(lambda b, a, t: b == t != a, lambda b, a, t: b == t), None),
        (share_of(lambda b, a, t: b == t != a, lambda b, a, t: True), "answered right *before*"),
        (share_of(lambda b, a, t: a != b, lambda b, a, t: True), "every changed"),
        (share_of(lambda b, a, t: a != b, lambda b, a, t: b == t), "no damage"),
        (share_of(lambda b, a, t: (b == t) - (a == t), lambda b, a, t: b == t), "a gain hides"),
        (share_of(lambda b, a, t: b == t == a, lambda b, a, t: b == t), "the rest"),
        (lambda b, a, t: 1, "a count"),
        (lambda b, a, t: 9, "gives 9"),
    ],
)
def test_damage(answer: Any, hint: str | None) -> None:
    check(DAMAGE.verdict(answer), hint)


def check(verdict: Any, hint: str | None) -> None:
    assert verdict.status == ("wrong" if hint else "right"), verdict.text
    assert not hint or hint in verdict.text
