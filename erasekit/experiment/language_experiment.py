"""Experiment on a multimodal language model, on top of the experiment on its CLIP."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.errors import UsageError
from erasekit.evaluate.answer_scores import evaluate_answers
from erasekit.evaluate.scorecard import Scorecard
from erasekit.evaluate.subsets import neighbours
from erasekit.experiment.base_experiment import BaseExperiment
from erasekit.experiment.clip_experiment import Experiment
from erasekit.models.clip import Clip
from erasekit.models.llava_spec import LlavaSpec
from erasekit.models.mllm import Mllm, load_mllm
from erasekit.models.train_llava import trained_llava
from erasekit.models.trained import cost_of
from erasekit.settings import DECLARED, Settings, make_settings


class LanguageExperiment(BaseExperiment[Mllm]):
    """The original, the oracles and the control of one task, and erasures from the original.

    The original builds on the CLIP trained on everything. The oracle builds on the CLIP's oracle
    and is trained on all texts, but on no picture of a forgotten concept.

    Attributes:
        clip: the experiment on the CLIPs, with the erasing settings of its own profile.
    """

    kind = "language"

    def __init__(self, settings: Settings, progress: bool = True) -> None:
        super().__init__(settings, progress)
        assert self.plan.llava is not None, "a plan of this kind has one"
        self.spec: LlavaSpec = self.plan.llava
        self.clip = Experiment(_clip_settings(settings), progress)
        self.world = self.clip.world

    @cached_property
    def task(self) -> MllmTask:
        """The forget and retain sets; neighbours are the same as in the CLIP's tables."""
        near = neighbours(self.clip.original, self.clip.task)
        return MllmTask(self.clip.task, near)

    @cached_property
    def original_folder(self) -> Path:
        return self._trained("llava", self.clip.original, self.task.visual, self.spec)

    def _oracle_folder(self, place: int) -> Path:
        tower, seen = self.clip.oracles(place + 1)[place], self.task.retain
        spec = dataclasses.replace(self.spec, seed=self.spec.seed + place)
        return self._trained("llava-oracle", tower, seen, spec, self.task.forgotten)

    def _training_cost(self, model: str) -> dict[str, float]:
        """Training cost of the CLIP and the language model together: seconds and steps."""
        parts = [
            cost_of(folders.original_folder if model == "original" else folders.oracle_folder)
            for folders in (self.clip, self)
        ]
        return {name: round(sum(part[name] for part in parts), 2) for name in parts[0]}

    def _measure(
        self, models: Mapping[str, Mllm], *, cost: dict[str, Any], split: str, **measuring: Any
    ) -> Scorecard:
        draws = self.settings.draws
        return evaluate_answers(self.task, models, cost=cost, split=split, draws=draws, **measuring)

    def load(self, source: Path | str) -> Mllm:
        if not Path(source).is_dir():
            raise UsageError(f"{source} is not a folder: give the folder of a language model")
        mllm = load_mllm(source, self.device)
        mllm.model.requires_grad_(False)
        return mllm

    def _trained(
        self, kind: str, clip: Clip, visual: Questions, spec: LlavaSpec, without: Sequence[str] = ()
    ) -> Path:
        with self.running():
            return trained_llava(
                kind,
                clip,
                self.task.world,
                visual,
                self.task.text,
                spec,
                without=without,
                progress=self.progress,
            )


def _clip_settings(settings: Settings) -> Settings:
    """Settings of the underlying CLIP, with the erasing settings of its own profile."""
    shared = [d.name for d in DECLARED.values() if not d.kind and d.group != "Erasing"]
    given = {name: getattr(settings, name) for name in shared if name not in ("profile", "kind")}
    return make_settings(settings.profile, **given)
