"""Experiments on large published models, on MLLMU-Bench or CLEAR, with MMUnlearner's settings.

These models have no oracle, so an erasure is compared with the original and the control only.
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

#: The paper's two models and its settings (arXiv 2502.11051): LoRA of rank 16, batches of 4,
#: learning rate 1e-5, one epoch. Its retain steps use visual questions only.
MODELS = ("llava-hf/llava-1.5-7b-hf", "Qwen/Qwen2-VL-7B-Instruct")
PAPER = EraseSpec(
    steps=1,  # replaced by one epoch of the data, see `PublishedExperiment.spec`
    forget_batch=4,
    retain_batch=4,
    text_batch=0,
    learning_rate=1e-5,
    moves="lora:16",
)
#: The paper's options where the kit's defaults differ: `every` follows from the sets' sizes.
OPTIONS = {"mmunlearner": {"every": 0}}
#: The measure for each kind of question.
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
    """A published benchmark as a task for the engine.

    The forget set holds the questions about pictures of the forgotten people. Text-only questions
    about them are retained, as in MMUnlearner.

    Args:
        data: a benchmark as in `read_benchmark`, such as ``mllmu:FOLDER``.
        percent: percentage of people to forget.

    Raises:
        UsageError: when data are missing, or the share is not published.
        RunError: when the data are damaged.
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
        """Empty: a published benchmark has no validation split."""
        return {}

    def describe(self) -> dict[str, Any]:
        """The arguments that define the task, as JSON values."""
        return dict(self._told)

    def subsets(self) -> dict[tuple[str, str], Questions]:
        """The published questions by (mode, part), parts as in `read_benchmark`."""
        found = {}
        for part in SUBSETS:
            found["visual", part] = self.parts[part].visual
            found["text", part] = self.parts[part].textual
        return {place: questions for place, questions in found.items() if len(questions)}


class PublishedExperiment:
    """A model from the hub or a folder, a benchmark, and erasures with the paper's settings.

    Args:
        data: ``mllmu:FOLDER``, ``clear:FOLDER``, or ``mllmu:hub``, which downloads the data.
        model: a hub name, such as those in `MODELS`, or a `transformers` folder.
        percent: percentage of people to forget.
        seed: seed of the adapters and of the order of the questions.
        device: auto, cpu, cuda or mps.
        progress: whether to show progress bars.
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
        """The paper's settings for one epoch of the retain set.

        Args:
            turns: retain steps after each forget step; 0 if each step uses both sets.
        """
        retain = math.ceil(len(self.task.retain) / PAPER.retain_batch)
        climbs = math.ceil(retain / turns) if turns else 0
        return dataclasses.replace(PAPER, steps=retain + climbs, seed=self.seed)

    def erase(
        self, method: str = "mmunlearner", *, options: Mapping[str, Any] | None = None, **spec: Any
    ) -> Erasure[Mllm]:
        """Erase with a method; the defaults are the paper's. See `LanguageExperiment.erase`."""
        given = {**OPTIONS.get(method, {}), **(options or {})}
        chosen = get_method(method).build(given, "language")
        turns = chosen.turns(len(self.task.forget), len(self.task.retain))
        asked = self.spec(turns).with_fields(**spec)
        return erase(self.original, self.task, chosen, asked, progress=self.progress)

    def evaluate(
        self, models: Mapping[str, Mllm], *, draws: int = 1000, most: int = 0
    ) -> Scorecard:
        """Score every model on each part, mode and kind of question, with the kind's measure.

        Args:
            models: models by name.
            draws: number of bootstrap draws over people.
            most: maximum number of questions of each kind, evenly spread; 0 for all.
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
