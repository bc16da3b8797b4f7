"""The task of a multimodal language model: forget how things look, keep what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from erasekit.data.drawn.questions import text_questions, visual_questions
from erasekit.data.question_list import Question, Questions
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import drawing


class MllmTask:
    """Questions to forget and questions to keep, in the world of an erasure task.

    The forget set is every visual question about a training picture that shows a forgotten
    concept. The retain set is every other visual question; the text questions, those about the
    forgotten concepts among them, stay too.

    Args:
        task: which concepts must go.
        neighbours: indices of the retained concepts that are nearest to them.
    """

    def __init__(self, task: ErasureTask, neighbours: Sequence[int] = ()) -> None:
        self.task = task
        self.neighbours = tuple(task.world.concept(i).name for i in neighbours)
        self.world = drawing(task.world, "a language model that learns from questions")
        self.forgotten = tuple(c.name for c in task.forgotten_concepts)

    @cached_property
    def visual(self) -> Questions:
        """Every visual question of the training list: what the original learns from."""
        return visual_questions(self.world, "train")

    @cached_property
    def text(self) -> Questions:
        """Every text question of the training list; the oracle is told them all."""
        return text_questions(self.world, "train")

    @cached_property
    def forget(self) -> Questions:
        return self.visual.about_any(self.forgotten)

    @cached_property
    def retain(self) -> Questions:
        return self.visual.about_none(self.forgotten)

    @cached_property
    def validation(self) -> dict[str, Questions]:
        """What things are, asked on the validation split: of the forgotten and of the retained."""
        asked = self.subsets("validation")
        return {
            name: asked["visual", name].where(lambda question: question.kind == "name")
            for name in ("forget", "retain")
        }

    def examples(self, others: int = 2, split: str = "test") -> Questions:
        """What is this? for one picture of each of three forgotten things, and of some others."""
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
        """What was asked for, in words and numbers that JSON can hold."""
        asked = {"forget_questions": len(self.forget), "retain_questions": len(self.retain)}
        return {**self.task.describe(), **asked, "neighbours": list(self.neighbours)}

    def subsets(self, split: str) -> dict[tuple[str, str], Questions]:
        """The questions of a split by (mode, subset), in held-out phrasings.

        A scene counts as forgotten with any forgotten concept in it, and as a neighbour with
        any neighbour. Neighbours are retained too.
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
