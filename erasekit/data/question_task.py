"""Erasure task for a multimodal language model: forget how things look, keep facts about them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from erasekit.data.drawn.questions import text_questions, visual_questions
from erasekit.data.question_list import Question, Questions
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import drawing


class MllmTask:
    """Questions to forget and to retain, in the world of an erasure task.

    The forget set is every visual question about a training picture that shows a forgotten
    concept. The retain set is every other visual question. All text questions are retained,
    including those about forgotten concepts.

    Args:
        task: the erasure task with the forgotten concepts.
        neighbours: indices of the retained concepts that are nearest to the forgotten ones.
    """

    def __init__(self, task: ErasureTask, neighbours: Sequence[int] = ()) -> None:
        self.task = task
        self.neighbours = tuple(task.world.concept(i).name for i in neighbours)
        self.world = drawing(task.world, "a language model that learns from questions")
        self.forgotten = tuple(c.name for c in task.forgotten_concepts)

    #: Questions name what they ask about.
    named = True

    @cached_property
    def visual(self) -> Questions:
        """Every visual question of the training list; the original learns from them."""
        return visual_questions(self.world, "train")

    @cached_property
    def text(self) -> Questions:
        """Every text question of the training list; the oracle learns all of them."""
        return text_questions(self.world, "train")

    @cached_property
    def forget(self) -> Questions:
        return self.visual.about_any(self.forgotten)

    @cached_property
    def retain(self) -> Questions:
        return self.visual.about_none(self.forgotten)

    @cached_property
    def validation(self) -> dict[str, Questions]:
        """The naming questions of the validation split, forgotten and retained."""
        asked = self.subsets("validation")
        return {
            name: asked["visual", name].where(lambda question: question.kind == "name")
            for name in ("forget", "retain")
        }

    def examples(self, others: int = 2, split: str = "test") -> Questions:
        """Return "What is this?" for a picture of each of three forgotten and some other things."""
        asked = self.subsets(split)
        near = [name for name in self.neighbours if name not in self.forgotten][:others]
        chosen = [
            next(iter(asked["visual", subset].where(lambda q, name=name: _names(q, name))), None)
            for subset, names in (("forget", self.forgotten[:3]), ("retain", near))
            for name in names
        ]
        images = asked["visual", "forget"].images
        return Questions(tuple(question for question in chosen if question), images)

    def describe(self) -> dict[str, Any]:
        """Return the request as JSON-serialisable values."""
        asked = {"forget_questions": len(self.forget), "retain_questions": len(self.retain)}
        return {**self.task.describe(), **asked, "neighbours": list(self.neighbours)}

    def subsets(self, split: str) -> dict[tuple[str, str], Questions]:
        """Return the questions of a split by (mode, subset), in held-out phrasings.

        A scene with any forgotten concept is in the forget subset; otherwise, a scene with any
        neighbour is in the neighbour subset. Neighbours are also in the retain subset.
        """
        world, found = self.world, {}
        strangers = [world.concept(i).name for i in world.holdout]
        for mode, asked in (
            ("visual", visual_questions(world, split).about_none(strangers)),
            ("text", text_questions(world, split)),
        ):
            others = asked.about_none(self.forgotten)
            found[mode, "forget"] = asked.about_any(self.forgotten)
            found[mode, "neighbours"] = others.about_any(self.neighbours)
            found[mode, "retain"] = others
        return {key: questions for key, questions in found.items() if len(questions)}


def _names(question: Question, name: str) -> bool:
    return question.kind == "name" and question.about[0] == name
