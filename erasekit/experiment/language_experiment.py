"""An experiment with a multimodal language model, on top of one with a CLIP."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

import pandas as pd

from erasekit.audit.answer_attacks import audit_mllm
from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.errors import unknown
from erasekit.evaluate.answer_scores import evaluate_mllm
from erasekit.evaluate.subsets import neighbours
from erasekit.experiment.clip_experiment import Experiment
from erasekit.experiment.clip_experiment import load as load_clip_experiment
from erasekit.experiment.published_experiment import PublishedExperiment
from erasekit.models.clip import Clip
from erasekit.models.llava_spec import LlavaSpec
from erasekit.models.mllm import Mllm, load_mllm
from erasekit.models.train_llava import trained_llava
from erasekit.models.trained import cost_of
from erasekit.settings import takes_settings
from erasekit.unlearn.engine import Erasure, erase
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.method import Method
from erasekit.unlearn.registry import choose_method, get_method

#: Training and erasing of each profile.
PROFILES: dict[str, tuple[LlavaSpec, EraseSpec]] = {
    "default": (
        LlavaSpec(),
        EraseSpec(steps=160, forget_batch=16, retain_batch=64, text_batch=16, learning_rate=4e-4),
    ),
    "smoke": (
        LlavaSpec(width=64, heads=4, steps=500, visual_batch=40, weight_decay=0.1),
        EraseSpec(steps=60, forget_batch=8, retain_batch=24, text_batch=8, learning_rate=3e-4),
    ),
}


class MllmExperiment:
    """Original, oracle and control of one task, and any erasure from the original.

    The original stands on the CLIP that saw everything; the oracle stands on the CLIP's oracle,
    and was told every text but shown no picture of a forgotten concept.

    Args:
        experiment: its CLIPs and its task.
        spec, erase_spec: in place of the profile's own.
    """

    def __init__(
        self,
        experiment: Experiment,
        spec: LlavaSpec | None = None,
        erase_spec: EraseSpec | None = None,
    ) -> None:
        self.clip = experiment
        profile = experiment.settings.profile
        if profile not in PROFILES:
            raise unknown("profile", profile, PROFILES)
        default, erasing = PROFILES[profile]
        seed, precision = experiment.settings.seed, experiment.settings.precision
        self.spec = spec or dataclasses.replace(default, seed=seed)
        self.erase_spec = erase_spec or erasing.with_fields(seed=seed, precision=precision)

    @cached_property
    def task(self) -> MllmTask:
        """What must go and what must stay; neighbours are those of the CLIP's own tables."""
        near = neighbours(self.clip.original, self.clip.task)
        return MllmTask(self.clip.task, near)

    @cached_property
    def original(self) -> Mllm:
        """The model before unlearning; from the cache if it is there."""
        return self._load(self.original_folder)

    @cached_property
    def oracle(self) -> Mllm:
        """The same recipe, on the oracle's tower, without a picture of anything forgotten."""
        return self._load(self.oracle_folder)

    @cached_property
    def original_folder(self) -> Path:
        return self._trained("llava", self.clip.original, self.task.visual)

    @cached_property
    def oracle_folder(self) -> Path:
        return self._trained(
            "llava-oracle", self.clip.oracle, self.task.retain, self.task.forgotten
        )

    def erase(
        self,
        method: str | type[Method] | Method = "mmunlearner",
        *,
        checkpoint: Path | None = None,
        log: Callable[[dict[str, float]], None] | None = None,
        options: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> Erasure[Mllm]:
        """Erase with a method; what is not given is as in the profile.

        Args:
            method: a name of `unlearn.registry`, or a method of your own: a class, an instance.
                It must be made for language models.
            checkpoint: file to resume from after an interruption.
            log: called with each step's row of the history.
            options: the method's own.
            spec: fields of `EraseSpec`, such as ``steps=50``.

        Raises:
            UsageError: for a method, an option or a field that does not exist.
            RunError: when a loss or gradient is not finite.
        """
        configured = get_method("mmunlearner").build({}, "language")
        chosen = choose_method(method, options, configured, "language")
        asked = self.erase_spec.with_fields(**spec)
        with self.clip.running():
            return erase(
                self.original,
                self.task,
                chosen,
                asked,
                checkpoint=checkpoint,
                log=log,
                progress=self.clip.progress,
            )

    def evaluate(
        self,
        models: Mapping[str, Mllm],
        *,
        split: str = "test",
        metrics: Sequence[str] = ("exact_match",),
        most: int = 0,
    ) -> pd.DataFrame:
        """Scores of every model; see `evaluate_mllm`."""
        draws = self.clip.settings.draws
        with self.clip.running():
            return evaluate_mllm(
                self.task, models, split=split, metrics=metrics, draws=draws, most=most
            )

    def audit(self, models: Mapping[str, Mllm], **options: Any) -> pd.DataFrame:
        """Attacks on every model; see `audit_mllm`."""
        draws = self.clip.settings.draws
        with self.clip.running():
            return audit_mllm(
                self.task, models, draws=draws, progress=self.clip.progress, **options
            )

    def retraining_seconds(self) -> float:
        """What the oracle took: to train its CLIP, and the language model on it."""
        return sum(cost_of(f)["seconds"] for f in (self.clip.oracle_folder, self.oracle_folder))

    def _load(self, folder: Path) -> Mllm:
        mllm = load_mllm(folder, self.clip.device)
        mllm.model.requires_grad_(False)
        return mllm

    def _trained(
        self, kind: str, clip: Clip, visual: Questions, without: Sequence[str] = ()
    ) -> Path:
        with self.clip.running():
            return trained_llava(
                kind,
                clip,
                self.task.world,
                visual,
                self.task.text,
                self.spec,
                without=without,
                progress=self.clip.progress,
            )


@overload
def load(  # type: ignore[overload-overlap]  # a name is a str as well
    profile: Literal["paper"], *, progress: bool = True, **parameters: Any
) -> PublishedExperiment: ...
@overload
def load(
    profile: str = "default", *, progress: bool = True, **parameters: Any
) -> MllmExperiment: ...
@takes_settings
def load(
    profile: str = "default", *, progress: bool = True, **parameters: Any
) -> MllmExperiment | PublishedExperiment:
    """An experiment with the defaults of a profile and single parameters replaced.

    Args:
        profile: default or smoke, on the embedded world; or paper: a large model on a published
            benchmark, whose parameters are those of `PublishedExperiment`.

    Raises:
        UsageError: for a parameter that does not exist or does not fit.
    """
    if profile == "paper":
        known = inspect.signature(PublishedExperiment).parameters
        for name in parameters:
            if name not in known:
                raise unknown("parameter of profile 'paper'", name, known)
        return PublishedExperiment(progress=progress, **parameters)
    return MllmExperiment(load_clip_experiment(profile, progress=progress, **parameters))
