"""Is a forgotten thing named when the question about it is worded differently?"""

from __future__ import annotations

from collections.abc import Iterator

from erasekit.audit.answer_attacks import Answered, answer_test, named, worded
from erasekit.audit.base import Metric
from erasekit.data.drawn.questions import VISUAL
from erasekit.data.question_task import MllmTask
from erasekit.evaluate.answer_scores import score_answers
from erasekit.models.mllm import Mllm


def wordings(mllm: Mllm, task: MllmTask, split: str, seed: int) -> Iterator[Answered]:
    """Ask for the forgotten thing in every phrasing, in turn."""
    for phrasing in VISUAL["name"]:
        asked = worded(named(task, split), phrasing)
        yield Answered(phrasing, asked.subjects, score_answers(mllm, asked)["accuracy"])


TEST = answer_test(
    wordings,
    "answer_wordings",
    "Other wordings",
    "Is a forgotten thing named when the question is worded differently?",
    "paraphrases as in MUSE (2407.06460); here of questions about a picture",
    Metric("named", "forgotten things named right", "remembered"),
)
