"""What an experiment is, whatever the kind of model: a world, a task, and the models on it.

Each model is made when first asked for. The command line, the notebooks and a few lines of Python
all use this interface; a subclass says how models of its kind are made and measured.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic

from erasekit.audit.attack_registry import choose_tests
from erasekit.audit.audit_result import Audit
from erasekit.audit.names import AUDITED, ORACLE, ORIGINAL, oracle_name
from erasekit.audit.suite import audit
from erasekit.device import autocast, repeatable, resolve_device
from erasekit.errors import UsageError
from erasekit.evaluate.scorecard import Scorecard
from erasekit.experiment.specs import make_plan
from erasekit.settings import Settings
from erasekit.unlearn.adapter import M
from erasekit.unlearn.engine import Erasure, erase
from erasekit.unlearn.method import Method
from erasekit.unlearn.registry import choose_method


class BaseExperiment(ABC, Generic[M]):
    """Original, oracles and control of one task, and any erasure from the original.

    Args:
        settings: every parameter; see `settings.Settings`.
        progress: whether to show progress bars.

    Raises:
        UsageError: for parameters that do not fit together.
    """

    kind: ClassVar[str]
    world: Any
    #: What must go and what must stay.
    task: Any
    #: What was asked for in a folder; None for the drawn world.
    request: Any = None
    #: What erasures from one original share, if there is such.
    frozen: Any = None

    def __init__(self, settings: Settings, progress: bool = True) -> None:
        self.settings = settings
        self.progress = progress
        self.plan = make_plan(settings)
        self.device = resolve_device(settings.device)
        autocast(self.device, settings.precision)  # refused here rather than at the first step
        self.method = self.plan.method
        self.train_spec = self.plan.train
        self.erase_spec = self.plan.erase
        self._oracles: list[M] = []

    def running(self) -> AbstractContextManager[None]:
        """Threads, seeds and determinism as the settings say, while a block runs.

        Every method here that computes runs in it; outside of it nothing global is changed.
        """
        return repeatable(self.settings.seed, self.settings.threads)

    @property
    def has_oracle(self) -> bool:
        """Whether there is a model that never saw the forget set, or can be one."""
        return self.train_spec is not None or bool(self.settings.oracle_model)

    @cached_property
    def original(self) -> M:
        """The model before unlearning.

        Reading this trains it unless it is in the cache; so do `oracle` and `oracles`.
        """
        return self.load(self.original_folder)

    @property
    def oracle(self) -> M:
        """The same recipe without a picture of a forgotten concept.

        Raises:
            UsageError: for a model that was not trained here and has no `oracle_model`.
        """
        return self.oracles(1)[0]

    @cached_property
    @abstractmethod
    def original_folder(self) -> Path:
        """Where the original lies in the cache, trained if it is not there."""

    @cached_property
    def oracle_folder(self) -> Path:
        """Where the oracle lies in the cache, trained if it is not there."""
        return self._oracle_folder(0)

    def oracles(self, seeds: int) -> list[M]:
        """The oracle and those of the next seeds: what they differ in, no claim may rest on.

        Args:
            seeds: how many oracles; each that is not in the cache is trained.

        Raises:
            UsageError: for more than there can be of a model that was not trained here.
        """
        while len(self._oracles) < seeds:
            self._oracles.append(self.load(self._oracle_folder(len(self._oracles))))
        return self._oracles[:seeds]

    def erase(
        self,
        method: str | type[Method] | Method | None = None,
        *,
        checkpoint: Path | None = None,
        log: Callable[[dict[str, float]], None] | None = None,
        options: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> Erasure[M]:
        """Erase with a method; what is not given is as in the settings.

        Options of the settings hold for the settings' method. Another method has its defaults.

        Args:
            method: a name of `unlearn.registry`, or a method of your own: a class, an instance.
            checkpoint: file to resume from after an interruption.
            log: called with each step's row of the history.
            options: the method's own options, such as ``{"consistency": 0}``.
            spec: fields of `EraseSpec`, such as ``steps=50``.

        Raises:
            UsageError: for a method, an option or a field that does not exist, and for a method
                that is made for another kind of model.
            RunError: when a loss or gradient is not finite.
        """
        asked = self.erase_spec.with_fields(**spec)
        chosen = choose_method(method, options, self.method, self.kind)
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

    def control(self, steps: int | None = None) -> Erasure[M]:
        """The original fine-tuned on the retain set alone, for as many steps as a method ran."""
        steps = steps or self.erase_spec.steps
        return self.erase("fine_tune", steps=steps, stop_at=-1.0)

    def evaluate(
        self,
        models: Mapping[str, M | Erasure[M]] | None = None,
        *,
        oracle: bool = True,
        split: str = "test",
        **measuring: Any,
    ) -> Scorecard:
        """The scorecard of the original, of `models`, and of the oracle.

        Args:
            models: models or erasures by name; ``erased`` and ``control`` are the names that
                pictures and pages know.
            oracle: whether the oracle is measured too.
            split: train, validation or test.
            measuring: of a language model ``metrics`` and ``most``, see `evaluate_answers`.

        Example:
            >>> erased = experiment.erase()
            >>> card = experiment.evaluate({"erased": erased, "control": experiment.control()})
        """
        judged = {ORIGINAL: self.original}
        trained = self.train_spec is not None  # what a model that was loaded cost, nobody knows
        cost: dict[str, Any] = {ORIGINAL: self._training_cost(ORIGINAL)} if trained else {}
        for name, model in (models or {}).items():
            if isinstance(model, Erasure):
                cost[name] = {"seconds": round(model.seconds, 2), "steps": model.steps}
                model = model.model
            judged[name] = model
        if oracle:
            judged[ORACLE] = self.oracle
            if trained:
                cost[ORACLE] = self._training_cost(ORACLE)
        with self.running():
            return self._measure(judged, cost=cost, split=split, **measuring)

    def audit(
        self,
        erased: M,
        *,
        tests: Sequence[str] | None = None,
        oracles: int = 3,
        shadows: int = 0,
        original: M | None = None,
        split: str = "test",
    ) -> Audit:
        """Ask every audit test whether `erased` really forgot, beside original and oracles.

        Args:
            erased: any model of this kind; `Erasure.model` of an erasure.
            tests: names of `audit.attack_registry`; all but the costly ones by default.
            oracles: how many seeds; three show how far oracles differ. 0 for none.
            shadows: how many models LiRA trains; it is left out with 0.
            original: what `erased` was before, if it did not come from here. Nothing was
                retrained for it, so that it has no oracles.

        Raises:
            UsageError: for a test that does not exist, or is made for another kind of model.
        """
        names = choose_tests(self.kind, tests, ["lira"] if shadows else [])
        options = self._test_options(names, shadows)
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

    @abstractmethod
    def load(self, source: Path | str) -> M:
        """A model of this kind, from a folder or by its name.

        Raises:
            UsageError: when there is no such model.
            RunError: when it is damaged.
        """

    @abstractmethod
    def _oracle_folder(self, place: int) -> Path:
        """Where the oracle of the `place`-th next seed lies in the cache, trained if need be."""

    @abstractmethod
    def _training_cost(self, model: str) -> dict[str, float]:
        """What training the original or the oracle took: seconds and steps."""

    @abstractmethod
    def _measure(
        self, models: Mapping[str, M], *, cost: dict[str, Any], split: str, **measuring: Any
    ) -> Scorecard:
        """The scorecard of models by name."""

    def _test_options(self, tests: Sequence[str], shadows: int) -> dict[str, dict[str, Any]]:
        """By audit test, what the experiment tells it."""
        return {}

    def _not_trained(self, what: str) -> UsageError:
        return UsageError(f"{what}: model {self.settings.model} was not trained here")
