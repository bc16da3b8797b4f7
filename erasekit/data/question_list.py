"""Visual and text questions for training and evaluating a multimodal language model.

A visual question needs its picture ("what is this?"); a text question has none ("what is the
colour of a red apple?"). Only the appearance of a thing is to be forgotten, so the two kinds
are kept apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from erasekit.files import sha256_json


@dataclass(frozen=True)
class Question:
    """One question with its answer.

    Attributes:
        text: the question.
        answer: the right answer, one or a few words.
        kind: type of question, such as ``name`` or ``colour``; ``cloze`` for a gap to fill.
        about: names of the things in its picture, or of the things a text question is about;
            in a benchmark, the person.
        image: position of its picture in `Questions.images`; None for a text question.
        choices: options of a multiple-choice question, including the right answer; else empty.
    """

    text: str
    answer: str
    kind: str
    about: tuple[str, ...]
    image: int | None = None
    choices: tuple[str, ...] = ()


def same_words(said: str, answer: str) -> bool:
    """Whether two answers are equal, ignoring case and a final full stop."""
    return said.lower().strip(" .") == answer.lower().strip(" .")


@dataclass(frozen=True)
class Questions:
    """A finite list of questions and their pictures.

    Attributes:
        items: the questions.
        images: uint8 pictures, shape (n, 3, height, width), or a list of pictures of any size.
    """

    items: tuple[Question, ...]
    images: Any

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Question]:
        return iter(self.items)

    def fingerprint(self) -> str:
        """Return a hash of the questions, in order, and of their pictures."""
        return sha256_json([asdict(question) for question in self.items])

    @property
    def subjects(self) -> np.ndarray:
        """The first thing that each question is about, shape (n,)."""
        return np.array([question.about[0] for question in self.items])

    def take(self, indices: Sequence[int] | np.ndarray) -> Questions:
        """Return the questions at `indices`, in that order."""
        return Questions(tuple(self.items[int(i)] for i in indices), self.images)

    def where(self, keep: Callable[[Question], bool]) -> Questions:
        """Return the questions that `keep` accepts."""
        return Questions(tuple(q for q in self.items if keep(q)), self.images)

    @property
    def visual(self) -> Questions:
        """The questions with a picture."""
        return self.where(lambda question: question.image is not None)

    @property
    def textual(self) -> Questions:
        """The questions without a picture."""
        return self.where(lambda question: question.image is None)

    def about_any(self, names: Sequence[str]) -> Questions:
        """Return the questions about at least one of the named things."""
        wanted = set(names)
        return self.where(lambda question: not wanted.isdisjoint(question.about))

    def about_none(self, names: Sequence[str]) -> Questions:
        """Return the questions about none of the named things."""
        wanted = set(names)
        return self.where(lambda question: wanted.isdisjoint(question.about))
