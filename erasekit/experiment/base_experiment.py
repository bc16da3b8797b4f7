"""Base class of experiments: a world, a task, and the models on it, for any kind of model.

Models are made on first use. The command line, the notebooks and Python scripts share this
interface; a subclass defines how models of its kind are made and measured.
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
    """The original, the oracles and the control of one task, and erasures from the original.

    Args:
        settings: every parameter; see `settings.Settings`.
        progress: whether to show progress bars.

    Raises:
        UsageError: for parameters that do not fit together.
    """

    kind: ClassVar[str]
    world: Any
    #: The forget and retain sets.
    task: Any
    #: The forget request on a folder; None for the drawn world.
    request: Any = None
    #: Features of the original that erasures share; None for kinds of model without them.
    frozen: Any = None

    def __init__(self, settings: Settings, progress: bool = True) -> None:
        self.settings = settings
        self.progress = progress
        self.plan = make_plan(settings)
        self.device = resolve_device(settings.device)
        autocast(self.device, settings.precision)  # fail here rather than at the first step
        self.method = self.plan.method
        self.train_spec = self.plan.train
        self.erase_spec = self.plan.erase
        self._oracles: list[M] = []

    def running(self) -> AbstractContextManager[None]:
        """Context manager that sets threads, seeds and determinism from the settings.

        Every method here that computes uses it. On exit, the global state is restored.
        """
        return repeatable(self.settings.seed, self.settings.threads)

    @property
    def has_oracle(self) -> bool:
        """Whether a model that never saw the forget set is given or can be trained."""
        return self.train_spec is not None or bool(self.settings.oracle_model)

    @cached_property
    def original(self) -> M:
        """The model before unlearning.

        The first access trains it unless it is cached; the same holds for `oracle` and `oracles`.
        """
        return self.load(self.original_folder)

    @property
    def oracle(self) -> M:
        """A model trained with the same recipe, without pictures of forgotten concepts.

        Raises:
            UsageError: if the model was not trained here and no `oracle_model` is given.
        """
        return self.oracles(1)[0]

    @cached_property
    @abstractmethod
    def original_folder(self) -> Path:
        """Cache folder of the original, which is trained if missing."""

    @cached_property
    def oracle_folder(self) -> Path:
        """Cache folder of the oracle, which is trained if missing."""
        return self._oracle_folder(0)

    def oracles(self, seeds: int) -> list[M]:
        """Oracles of consecutive seeds. Their spread is the noise that a claim must exceed.

        Args:
            seeds: number of oracles; those missing from the cache are trained.

        Raises:
            UsageError: if the model was not trained here and `oracle_model` does not suffice.
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
        """Erase with a method; arguments that are not given come from the settings.

        The settings' options apply to the settings' method only. Other methods use their defaults.

        Args:
            method: a name in `unlearn.registry`, or your own method as a class or an instance.
            checkpoint: file to resume from after an interruption.
            log: called with each step's row of the history.
            options: options of the method, such as ``{"consistency": 0}``.
            spec: fields of `EraseSpec`, such as ``steps=50``.

        Raises:
            UsageError: for an unknown method, option or field, and for a method that does not
                support this kind of model.
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
        """Fine-tune the original on the retain set alone, by default for the settings' steps."""
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
        """Compute the scorecard of the original, of `models`, and of the oracle.

        Args:
            models: models or erasures by name; figures and pages recognise the names ``erased``
                and ``control``.
            oracle: whether to measure the oracle too.
            split: train, validation or test.
            measuring: for a language model, ``metrics`` and ``most``; see `evaluate_answers`.

        Example:
            >>> erased = experiment.erase()
            >>> card = experiment.evaluate({"erased": erased, "control": experiment.control()})
        """
        judged = {ORIGINAL: self.original}
        trained = self.train_spec is not None  # the training cost of a loaded model is unknown
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
        """Run the audit tests on `erased`, with the original and the oracles for comparison.

        Args:
            erased: any model of this kind, such as `Erasure.model`.
            tests: names in `audit.attack_registry`; by default all but the expensive ones.
            oracles: number of oracle seeds; three show how much oracles differ. 0 for none.
            shadows: number of models that LiRA trains; 0 skips LiRA.
            original: the model that `erased` started from, if it is not this experiment's. It
                has no oracles, as none were trained for it.

        Raises:
            UsageError: for an unknown test, or one for another kind of model.
        """
        requests = "named" if self.task.named else "pictures"
        names = choose_tests(self.kind, tests, ["lira"] if shadows else [], requests)
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
        """Load a model of this kind from a folder or by name.

        Raises:
            UsageError: when the model does not exist.
            RunError: when it is damaged.
        """

    @abstractmethod
    def _oracle_folder(self, place: int) -> Path:
        """Cache folder of the oracle whose seed is `place` above the first; trained if missing."""

    @abstractmethod
    def _training_cost(self, model: str) -> dict[str, float]:
        """Training cost of the original or the oracle: seconds and steps."""

    @abstractmethod
    def _measure(
        self, models: Mapping[str, M], *, cost: dict[str, Any], split: str, **measuring: Any
    ) -> Scorecard:
        """The scorecard of models by name."""

    def _test_options(self, tests: Sequence[str], shadows: int) -> dict[str, dict[str, Any]]:
        """Options that the experiment passes to audit tests, by test."""
        return {}

    def _not_trained(self, what: str) -> UsageError:
        return UsageError(f"{what}: model {self.settings.model} was not trained here")
