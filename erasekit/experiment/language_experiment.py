"""An experiment on a multimodal language model, on top of one on the CLIP that it sees through."""

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
    """Original, oracle and control of one task, and any erasure from the original.

    The original stands on the CLIP that saw everything; the oracle stands on the CLIP's oracle,
    and was told every text but shown no picture of a forgotten concept.

    Attributes:
        clip: the experiment on the CLIPs, which erases as its own profile says.
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
        """What must go and what must stay; neighbours are those of the CLIP's own tables."""
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
        """Of the CLIP, and of the language model on it."""
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
            raise UsageError(f"{source} is no folder: give the folder of a language model")
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
    """Those of the CLIP below, which is erased as its own profile says."""
    shared = [d.name for d in DECLARED.values() if not d.kind and d.group != "Erasing"]
    given = {name: getattr(settings, name) for name in shared if name not in ("profile", "kind")}
    return make_settings(settings.profile, **given)
