"""An experiment: a world, a task, and the models on it, each made when first asked for.

This is what the command line, the notebooks and a few lines of Python all use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from erasekit.audit.attack_registry import usual_tests
from erasekit.audit.audit_result import Audit
from erasekit.audit.names import AUDITED, ORIGINAL, oracle_name
from erasekit.audit.suite import audit
from erasekit.data.data_spec import FolderSpec
from erasekit.data.drawn.world import World
from erasekit.data.folder.check import read_folder
from erasekit.data.folder.columns import Columns
from erasekit.data.folder.folder_world import FolderTask, FolderWorld
from erasekit.data.folder.selection import Request, ask
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import drawing
from erasekit.device import autocast, repeatable, resolve_device
from erasekit.errors import UsageError
from erasekit.evaluate.scorecard import Scorecard, evaluate
from erasekit.experiment.specs import make_plan
from erasekit.models.clip import Clip, load_clip
from erasekit.models.train_clip import trained_clip
from erasekit.models.train_spec import TrainSpec
from erasekit.models.trained import cost_of
from erasekit.settings import Settings, make_settings, takes_settings
from erasekit.unlearn.encode import FrozenFeatures
from erasekit.unlearn.engine import Erasure, erase
from erasekit.unlearn.method import Method
from erasekit.unlearn.registry import choose_method


class Experiment:
    """Original, oracle and control of one task, and any erasure from the original.

    Args:
        settings: every parameter; see `settings.Settings`.
        progress: whether to show progress bars.

    Raises:
        UsageError: for parameters that do not fit together.
    """

    def __init__(self, settings: Settings, progress: bool = True) -> None:
        self.settings = settings
        self.progress = progress
        plan = make_plan(settings)
        self.device = resolve_device(settings.device)
        autocast(self.device, settings.precision)  # refused here rather than at the first step
        self.method = plan.method
        self.train_spec = plan.train
        self.erase_spec = plan.erase
        self._oracles: list[Clip] = []
        #: What was asked for in a folder; None for the drawn world.
        self.request: Request | None = None
        if isinstance(plan.data, FolderSpec):
            self.world, self.task = self._folder(plan.data)
        else:
            self.world = World(plan.data)
            self.task = ErasureTask(self.world, settings.forget, plan.forget_languages)
        if settings.epochs:
            pairs = len(self.task.retain)
            self.erase_spec = self.erase_spec.for_epochs(settings.epochs, pairs)

    def running(self) -> AbstractContextManager[None]:
        """Threads, seeds and determinism as the settings say, while a block runs.

        Every method here that computes runs in it; outside of it nothing global is changed.
        """
        return repeatable(self.settings.seed, self.settings.threads)

    def _folder(self, spec: FolderSpec) -> tuple[FolderWorld, FolderTask]:
        """A folder, which is read and asked for the rule before any model is loaded."""
        columns = Columns(spec.image_column, spec.caption_column)
        source = read_folder(
            spec.path, skip_bad=spec.skip_bad, columns=columns, progress=self.progress
        )
        request = ask(source, self.settings.forget)
        self.request = request
        world = FolderWorld(spec, source, request, image_size(self.original))
        return world, FolderTask(world, trained=self.train_spec is not None)

    @property
    def has_oracle(self) -> bool:
        """Whether there is a model that never saw the forget set, or can be one."""
        return self.train_spec is not None or bool(self.settings.oracle_model)

    @cached_property
    def original(self) -> Clip:
        """The model before unlearning: a CLIP that is loaded, or one that is trained here.

        Reading this trains it unless it is in the cache; so do `oracle` and `oracles`.
        """
        if self.train_spec is None:
            return self._load(self.settings.model, self.settings.pretrained)
        return self._load(self.original_folder)

    @cached_property
    def oracle(self) -> Clip:
        """The same recipe without any sample of a forgotten concept, in any language.

        Raises:
            UsageError: for a model that was not trained here and has no `oracle_model`.
        """
        return self.oracles(1)[0]

    @cached_property
    def original_folder(self) -> Path:
        """Where the original lies in the cache, trained if it is not there."""
        return self._trained("original", self.world.pairs("train"), ())

    @cached_property
    def oracle_folder(self) -> Path:
        """Where the oracle lies in the cache, trained if it is not there."""
        return self._trained("oracle", self.task.retain, self.task.forgotten)

    def oracles(self, seeds: int) -> list[Clip]:
        """The oracle and those of the next seeds: what they differ in, no claim may rest on.

        Args:
            seeds: how many oracles; each that is not in the cache is trained.

        Raises:
            UsageError: for more than there can be of a model that was not trained here.
        """
        if self.train_spec is None and self.settings.oracle_model and not self._oracles:
            self._oracles.append(self._load(self.settings.oracle_model))
        if self.train_spec is None and len(self._oracles) < seeds:
            raise UsageError(
                f"{seeds} oracles: model {self.settings.model} was not trained here, so that no "
                "oracle can be made; give one as oracle_model, or leave it out (--no-oracle)"
            )
        while self.train_spec is not None and len(self._oracles) < seeds:
            spec = dataclasses.replace(
                self.train_spec, seed=self.train_spec.seed + len(self._oracles)
            )
            folder = self._trained("oracle", self.task.retain, self.task.forgotten, spec)
            self._oracles.append(self._load(folder))
        return self._oracles[:seeds]

    @cached_property
    def frozen(self) -> FrozenFeatures:
        """The original's features of the retain set, shared by every erasure here."""
        return FrozenFeatures(self.original, self.task.retain)

    def erase(
        self,
        method: str | type[Method] | Method | None = None,
        *,
        checkpoint: Path | None = None,
        log: Callable[[dict[str, float]], None] | None = None,
        options: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> Erasure[Clip]:
        """Erase with a method; what is not given is as in the settings.

        Options of the settings hold for the settings' method. Another method has its defaults.

        Args:
            method: a name of `unlearn.registry`, or a method of your own: a class, an instance.
            checkpoint: file to resume from after an interruption.
            log: called with each step's row of the history.
            options: the method's own options, such as ``{"consistency": 0}``.
            spec: fields of `EraseSpec`, such as ``steps=50``.

        Raises:
            UsageError: for a method, an option or a field that does not exist.
            RunError: when a loss or gradient is not finite.
        """
        asked = self.erase_spec.with_fields(**spec)
        chosen = choose_method(method, options, self.method, "clip")
        with self.running():
            return erase(
                self.original,
                self.task,
                chosen,
                asked,
                frozen=self.frozen,
                checkpoint=checkpoint,
                log=log,
                progress=self.progress,
            )

    def control(self, steps: int | None = None) -> Erasure[Clip]:
        """The original fine-tuned on the retain set alone, for as many steps as a method ran."""
        steps = steps or self.erase_spec.steps
        return self.erase("fine_tune", steps=steps, stop_at=-1.0)

    def evaluate(
        self,
        models: Mapping[str, Clip | Erasure] | None = None,
        *,
        oracle: bool = True,
        split: str = "test",
    ) -> Scorecard:
        """The scorecard of the original, of `models`, and of the oracle.

        Args:
            models: CLIPs or erasures by name; ``erased`` and ``control`` are the names that
                pictures and pages know.
            oracle: whether the oracle is measured too.
            split: train, validation or test.

        Example:
            >>> erased = experiment.erase()
            >>> card = experiment.evaluate({"erased": erased, "control": experiment.control()})
        """
        judged = {"original": self.original}
        trained = self.train_spec is not None  # what a model that was loaded cost, nobody knows
        cost = {"original": cost_of(self.original_folder)} if trained else {}
        for name, model in (models or {}).items():
            if isinstance(model, Erasure):
                cost[name] = {"seconds": round(model.seconds, 2), "steps": model.steps}
                model = model.model
            judged[name] = model
        if oracle:
            judged["oracle"] = self.oracle
            if trained:
                cost["oracle"] = cost_of(self.oracle_folder)
        given = {"draws": self.settings.draws, "gallery": self.settings.gallery}
        with self.running():
            return evaluate(self.task, judged, cost=cost, split=split, **given)

    def audit(
        self,
        erased: Clip,
        *,
        tests: Sequence[str] | None = None,
        oracles: int = 3,
        shadows: int = 0,
        original: Clip | None = None,
        split: str = "test",
    ) -> Audit:
        """Ask every audit test whether `erased` really forgot, beside original and oracles.

        Args:
            erased: any CLIP; `Erasure.model` of an erasure.
            tests: names of `audit.attack_registry`; all but the costly ones by default.
            oracles: how many seeds; three show how far oracles differ. 0 for none.
            shadows: how many models LiRA trains; it is left out with 0.
            original: what `erased` was before, if it did not come from here. Nothing was
                retrained for it, so that it has no oracles.
        """
        drawing(self.world, "the audit")
        names = list(tests or usual_tests())
        options: dict[str, dict[str, Any]] = {}
        if shadows and "lira" not in names:
            names.append("lira")
        if "lira" in names:
            if self.train_spec is None:
                raise UsageError(
                    f"lira trains models like {self.settings.model}: there is no recipe"
                )
            options["lira"] = {"train": self.train_spec, "precision": self.settings.precision}
            options["lira"] |= {"shadows": shadows} if shadows else {}
        models = {ORIGINAL: original or self.original, AUDITED: erased}
        oracles = 0 if original or self.train_spec is None else oracles
        for i, oracle in enumerate(self.oracles(oracles)):
            models[oracle_name(i)] = oracle
        with self.running():
            return audit(
                models,
                self.task,
                tests=names,
                options=options,
                smoke=self.settings.profile == "smoke",
                split=split,
                draws=self.settings.draws,
                seed=self.settings.seed,
                oracle_seeds=[self.settings.seed + i for i in range(oracles)],
                progress=self.progress,
            )

    def _load(self, source: Path | str, pretrained: str = "") -> Clip:
        clip = load_clip(source, self.device, pretrained or None)
        clip.model.requires_grad_(False)
        return clip

    def _trained(
        self, kind: str, pairs: Pairs, without: tuple[int, ...], spec: TrainSpec | None = None
    ) -> Path:
        spec = spec or self.train_spec
        if spec is None:
            raise UsageError(
                f"model {self.settings.model} was not trained here: there is no recipe to repeat"
            )
        with self.running():
            return trained_clip(
                kind,
                drawing(self.world, "training a CLIP"),
                pairs,
                spec,
                device=self.device,
                precision=self.settings.precision,
                without=[self.world.concept(i).name for i in without],
                progress=self.progress,
            )


def image_size(clip: Clip) -> int:
    """Side in pixels of the pictures that a model reads.

    Raises:
        UsageError: for a model whose pictures are no squares.
    """
    size = clip.model.visual.image_size
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) > 1:
        raise UsageError(f"the model reads pictures of {size} pixels: they must be squares")
    return int(sides.pop())


@takes_settings
def load(profile: str = "default", *, progress: bool = True, **parameters: Any) -> Experiment:
    """An experiment with the defaults of a profile and single parameters replaced.

    Example:
        >>> experiment = load("smoke", forget="fruit")
        >>> erased = experiment.erase()

    Raises:
        UsageError: for a parameter that does not exist or does not fit.
    """
    return Experiment(make_settings(profile, **parameters), progress)
