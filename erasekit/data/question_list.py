"""Questions about pictures and in words: what a multimodal language model learns and is asked.

A visual question needs its picture ("what is this?"); a text question has none ("what is the
colour of a red apple?"). What must be forgotten is how a thing looks, so the two kinds are told
apart everywhere.
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
        text: what is asked.
        answer: what is right, in a word or a few.
        kind: what is asked for, such as ``name`` or ``colour``; ``cloze`` for a gap to be filled.
        about: names of the things that its picture shows, or that a text question asks about;
            of a benchmark, the person.
        image: position of its picture in `Questions.images`; None for a text question.
        choices: of a multiple choice, the right answer among them; empty if there are none.
    """

    text: str
    answer: str
    kind: str
    about: tuple[str, ...]
    image: int | None = None
    choices: tuple[str, ...] = ()


def same_words(said: str, answer: str) -> bool:
    """Whether two answers have the same words, whatever their case and the full stop at the end."""
    return said.lower().strip(" .") == answer.lower().strip(" .")


@dataclass(frozen=True)
class Questions:
    """A finite list of questions, and the pictures that they are about.

    Attributes:
        items: the questions.
        images: uint8 pictures, shape (n, 3, height, width), or a list of them in any size.
    """

    items: tuple[Question, ...]
    images: Any

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Question]:
        return iter(self.items)

    def fingerprint(self) -> str:
        """A hash of what is asked, in its order, and of which pictures it is asked about."""
        return sha256_json([asdict(question) for question in self.items])

    @property
    def subjects(self) -> np.ndarray:
        """The first thing that each question is about, shape (n,)."""
        return np.array([question.about[0] for question in self.items])

    def take(self, indices: Sequence[int] | np.ndarray) -> Questions:
        """The questions at `indices`, in that order."""
        return Questions(tuple(self.items[int(i)] for i in indices), self.images)

    def where(self, keep: Callable[[Question], bool]) -> Questions:
        """The questions that `keep` accepts."""
        return Questions(tuple(q for q in self.items if keep(q)), self.images)

    @property
    def visual(self) -> Questions:
        """Those with a picture."""
        return self.where(lambda question: question.image is not None)

    @property
    def textual(self) -> Questions:
        """Those without."""
        return self.where(lambda question: question.image is None)

    def about_any(self, names: Sequence[str]) -> Questions:
        """Those about at least one of the things named."""
        wanted = set(names)
        return self.where(lambda question: not wanted.isdisjoint(question.about))

    def about_none(self, names: Sequence[str]) -> Questions:
        """Those about none of the things named."""
        wanted = set(names)
        return self.where(lambda question: wanted.isdisjoint(question.about))
