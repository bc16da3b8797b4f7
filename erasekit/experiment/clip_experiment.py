"""Experiment on a CLIP, either trained here or loaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from erasekit.data.data_spec import FolderSpec
from erasekit.data.drawn.world import World
from erasekit.data.folder.check import read_folder
from erasekit.data.folder.columns import Columns
from erasekit.data.folder.folder_world import FolderTask, FolderWorld
from erasekit.data.folder.selection import ask
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.errors import UsageError
from erasekit.evaluate.scorecard import Scorecard, evaluate
from erasekit.experiment.base_experiment import BaseExperiment
from erasekit.models.clip import Clip, load_clip
from erasekit.models.train_clip import trained_clip
from erasekit.models.train_spec import TrainSpec
from erasekit.models.trained import cost_of
from erasekit.settings import Settings
from erasekit.unlearn.encode import FrozenFeatures


class Experiment(BaseExperiment[Clip]):
    """The original, the oracles and the control of one task, and erasures from the original."""

    kind = "clip"

    def __init__(self, settings: Settings, progress: bool = True) -> None:
        super().__init__(settings, progress)
        if isinstance(self.plan.data, FolderSpec):
            self.world, self.task = self._folder(self.plan.data)
        else:
            self.world = World(self.plan.data)
            self.task = ErasureTask(self.world, settings.forget, self.plan.forget_languages)
        if settings.epochs:
            pairs = len(self.task.retain)
            self.erase_spec = self.erase_spec.for_epochs(settings.epochs, pairs)

    def _folder(self, spec: FolderSpec) -> tuple[FolderWorld, FolderTask]:
        """World and task of a folder. The forget rule is checked before any model is loaded."""
        columns = Columns(spec.image_column, spec.caption_column)
        source = read_folder(
            spec.path, skip_bad=spec.skip_bad, columns=columns, progress=self.progress
        )
        self.request = ask(source, self.settings.forget)
        trained = self.train_spec is not None
        size = self.settings.image_size if trained else image_size(self.original)
        world = FolderWorld(spec, source, self.request, size)
        return world, FolderTask(world, trained=trained)

    @cached_property
    def original(self) -> Clip:
        """The model before unlearning, loaded or trained here.

        The first access trains it unless it is cached; the same holds for `oracle` and `oracles`.
        """
        if self.train_spec is None:
            return self.load(self.settings.model, self.settings.pretrained)
        return self.load(self.original_folder)

    @cached_property
    def original_folder(self) -> Path:
        return self._trained("original", self.world.pairs("train"), ())

    def oracles(self, seeds: int) -> list[Clip]:
        if self.train_spec is None and self.settings.oracle_model and not self._oracles:
            self._oracles.append(self.load(self.settings.oracle_model))
        if self.train_spec is None and len(self._oracles) < seeds:
            raise UsageError(
                f"{seeds} oracles: model {self.settings.model} was not trained here, so it has "
                "no oracle: pass oracle_model, or --no-oracle"
            )
        return super().oracles(seeds)

    def _oracle_folder(self, place: int) -> Path:
        spec = self.train_spec
        if spec is not None:
            spec = dataclasses.replace(spec, seed=spec.seed + place)
        return self._trained("oracle", self.task.retain, self.task.forgotten, spec)

    @cached_property
    def frozen(self) -> FrozenFeatures:
        """The original's features of the retain set, shared by all erasures."""
        return FrozenFeatures(self.original, self.task.retain)

    def _training_cost(self, model: str) -> dict[str, float]:
        return cost_of(self.original_folder if model == "original" else self.oracle_folder)

    def _measure(
        self, models: Mapping[str, Clip], *, cost: dict[str, Any], split: str, **measuring: Any
    ) -> Scorecard:
        given = {"draws": self.settings.draws, "gallery": self.settings.gallery}
        return evaluate(self.task, models, cost=cost, split=split, **given, **measuring)

    def _test_options(self, tests: Sequence[str], shadows: int) -> dict[str, dict[str, Any]]:
        if "lira" not in tests:
            return {}
        if self.train_spec is None:
            raise UsageError(
                f"lira needs to train models, and {self.settings.model} was not trained here: "
                "leave lira out"
            )
        own = {"train": self.train_spec, "precision": self.settings.precision}
        return {"lira": own | ({"shadows": shadows} if shadows else {})}

    def load(self, source: Path | str, pretrained: str = "") -> Clip:
        clip = load_clip(source, self.device, pretrained or None)
        clip.model.requires_grad_(False)
        return clip

    def _trained(
        self, kind: str, pairs: Pairs, without: tuple[int, ...], spec: TrainSpec | None = None
    ) -> Path:
        spec = spec or self.train_spec
        if spec is None:
            raise UsageError(
                f"model {self.settings.model} was not trained here, so it cannot be retrained"
            )
        own = isinstance(self.task, FolderTask)
        with self.running():
            return trained_clip(
                kind,
                self.world,
                pairs,
                spec,
                device=self.device,
                precision=self.settings.precision,
                # In a folder, a name may be a picture's caption, which must not enter the cache.
                without=() if own else [self.world.concept(i).name for i in without],
                progress=self.progress,
            )


def image_size(clip: Clip) -> int:
    """Side length in pixels of a model's input pictures.

    Raises:
        UsageError: if the model's input is not square.
    """
    size = clip.model.visual.image_size
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) > 1:
        raise UsageError(f"the model's input is {size} pixels: only square inputs are supported")
    return int(sides.pop())
