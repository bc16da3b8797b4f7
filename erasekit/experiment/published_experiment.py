"""MMUnlearner as published: a large model, on MLLMU-Bench or CLEAR, with the paper's settings.

There is no oracle of these models: what an erasure did is read against the original and the
control alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from erasekit.data.published.mllm_benchmarks import SUBSETS, read_benchmark
from erasekit.data.question_list import Questions
from erasekit.device import resolve_device
from erasekit.evaluate.answer_scores import DIRECTIONS, mean_row, score_answers, spread
from erasekit.evaluate.scorecard import Scorecard
from erasekit.models.mllm import Mllm, load_mllm
from erasekit.unlearn.engine import Erasure, erase
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.registry import get_method

#: The paper's two models, and how it erases from them (arXiv 2502.11051): LoRA of rank 16,
#: batches of 4, learning rate 1e-5, one epoch. Its retain steps hold visual questions alone.
MODELS = ("llava-hf/llava-1.5-7b-hf", "Qwen/Qwen2-VL-7B-Instruct")
PAPER = EraseSpec(
    steps=1,  # one epoch of the data at hand takes its place
    forget_batch=4,
    retain_batch=4,
    text_batch=0,
    learning_rate=1e-5,
    moves="lora:16",
)
#: Options of the paper's that are not the kit's: its schedule follows from the lists' sizes.
OPTIONS = {"mmunlearner": {"every": 0}}
#: By which measure each kind of question is judged.
MEASURED_BY = {
    "classification": "choice",
    "cloze": "accuracy",
    "name": "accuracy",
    "generation": "rouge_l",
    "caption": "rouge_l",
    "paraphrase": "rouge_l",
    "question": "rouge_l",
}


class BenchmarkTask:
    """A published benchmark as the engine reads a task.

    The forget set is what it asks about the forgotten people's pictures. What is asked of them
    in words stays, as MMUnlearner wants it.

    Args:
        data: as `read_benchmark` takes it, such as ``mllmu:FOLDER``.
        percent: of the people to forget.

    Raises:
        UsageError: when data are missing, or of a share that is not published.
        RunError: when they are damaged.
    """

    def __init__(self, data: str, percent: int = 5) -> None:
        self._told = {"data": data, "percent": percent}
        self.parts = read_benchmark(data, percent=percent)
        self.forget, self.retain = self.parts["forget"].visual, self.parts["retain"].visual
        words = [q for name in ("forget", "retain") for q in self.parts[name].textual]
        self.text = Questions(tuple(words), self.retain.images)
        self.forgotten = tuple(
            dict.fromkeys(person for question in self.forget for person in question.about)
        )

    @property
    def validation(self) -> dict[str, Questions]:
        """Nothing: a published benchmark has no validation split."""
        return {}

    def describe(self) -> dict[str, Any]:
        """What decides it, as JSON holds it."""
        return dict(self._told)

    def subsets(self) -> dict[tuple[str, str], Questions]:
        """The published questions by (mode, part), parts as in `read_benchmark`."""
        found = {}
        for part in SUBSETS:
            found["visual", part] = self.parts[part].visual
            found["text", part] = self.parts[part].textual
        return {place: questions for place, questions in found.items() if len(questions)}


class PublishedExperiment:
    """A model from a hub or a folder, a benchmark, and any erasure with the paper's settings.

    Args:
        data: ``mllmu:FOLDER``, ``clear:FOLDER``, or ``mllmu:hub``, which fetches.
        model: of a hub, such as those of `MODELS`, or a folder of `transformers`.
        percent: of the people to forget.
        seed: of the adapters and of the order of the questions.
        device: auto, cpu, cuda or mps.
        progress: whether a bar is shown.
    """

    def __init__(
        self,
        data: str = "mllmu:hub",
        *,
        model: str | Path = MODELS[0],
        percent: int = 5,
        seed: int = 0,
        device: str = "auto",
        progress: bool = True,
    ) -> None:
        self.device = resolve_device(device)
        self.model, self.seed, self.progress = model, seed, progress
        self.task = BenchmarkTask(data, percent)

    @cached_property
    def original(self) -> Mllm:
        mllm = load_mllm(self.model, self.device)
        mllm.model.requires_grad_(False)
        return mllm

    def spec(self, turns: int) -> EraseSpec:
        """The paper's settings for one epoch of what must stay.

        Args:
            turns: retain steps after each climb; 0 where each step holds both.
        """
        retain = math.ceil(len(self.task.retain) / PAPER.retain_batch)
        climbs = math.ceil(retain / turns) if turns else 0
        return dataclasses.replace(PAPER, steps=retain + climbs, seed=self.seed)

    def erase(
        self, method: str = "mmunlearner", *, options: Mapping[str, Any] | None = None, **spec: Any
    ) -> Erasure[Mllm]:
        """Erase with a method; what is not given is the paper's. See `LanguageExperiment.erase`."""
        given = {**OPTIONS.get(method, {}), **(options or {})}
        chosen = get_method(method).build(given, "language")
        turns = chosen.turns(len(self.task.forget), len(self.task.retain))
        asked = self.spec(turns).with_fields(**spec)
        return erase(self.original, self.task, chosen, asked, progress=self.progress)

    def evaluate(
        self, models: Mapping[str, Mllm], *, draws: int = 1000, most: int = 0
    ) -> Scorecard:
        """Scores of every model on each part, mode and kind of questions, by the kind's measure.

        Args:
            models: by name.
            draws: of the bootstrap over people.
            most: questions of each kind at most, evenly spread; 0 for all.
        """
        rows = []
        for (mode, part), questions in self.task.subsets().items():
            for kind in dict.fromkeys(q.kind for q in questions):
                asked = spread(questions.where(lambda q, kind=kind: q.kind == kind), most)
                metric = MEASURED_BY[kind]
                who = [q.about[0] if q.about else f"row {i}" for i, q in enumerate(asked)]
                for name, mllm in models.items():
                    scores = score_answers(mllm, asked, (metric,))[metric]
                    measure = (f"{metric}:{kind}", part, DIRECTIONS[mode])
                    rows.append(mean_row(name, measure, scores, np.array(who), draws))
        return Scorecard({**self.task.describe(), "forget": list(self.task.forgotten)}, {}, rows)
