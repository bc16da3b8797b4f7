"""A bench makes one result of the leaderboard: a model of one task and seed, measured.

The key of a result holds the code that a bench imports, and nothing else of the leaderboard: an
edit of the search space, of a page or of the pool leaves all results as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from erasekit.audit.names import ORACLE, ORIGINAL
from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.world import World
from erasekit.data.task import ErasureTask
from erasekit.device import repeatable, resolve_device
from erasekit.errors import ErasekitError
from erasekit.leaderboard.trial import Trial, expected_gap, parts
from erasekit.models.clip import Clip, load_clip
from erasekit.models.llava_spec import LlavaSpec
from erasekit.models.train_clip import trained_clip
from erasekit.models.train_spec import TrainSpec
from erasekit.unlearn.erase_spec import EraseSpec

#: Seeds of the oracles that the results of every seed are compared with.
ORACLES = (0, 1, 2)


@dataclass(frozen=True)
class Case:
    """Everything that decides the models of one task and one seed.

    Attributes:
        erase: the profile's recipe, of which a trial replaces fields.
        requests: each an erasure; several are carried out one after another.
        scenes_only: the forget set holds scenes, and no picture of the concept alone.
        llava: the language model on top, if there is one.
        draws: of the bootstrap; they decide no result.
    """

    world: WorldSpec
    train: TrainSpec
    erase: EraseSpec
    requests: tuple[str, ...]
    scenes_only: bool = False
    llava: LlavaSpec | None = None
    threads: int = 1
    device: str = "auto"
    precision: str = "auto"
    draws: int = 1000

    def as_dict(self) -> dict[str, Any]:
        """What stands in the key of a result."""
        return {name: value for name, value in asdict(self).items() if name != "draws"}


class Bench(ABC):
    """The models of one case, and what is measured on them; one subclass for each kind of model.

    Attributes:
        measures: names of the measures that the average gap is over.
        expected: what retraining is expected to give, where that is not the original's value.
        costs: what is recorded of an erasure beside its measures.
    """

    measures: ClassVar[tuple[str, ...]]
    expected: ClassVar[Mapping[str, float]]
    costs: ClassVar[tuple[str, ...]]

    def __init__(self, case: Case) -> None:
        self.case = case
        self.device = resolve_device(case.device)

    @cached_property
    def world(self) -> World:
        return World(self.case.world)

    @cached_property
    def task(self) -> ErasureTask:
        """All that must be gone in the end."""
        return ErasureTask(self.world, ", ".join(self.case.requests))

    def clip(self, kind: str, seed: int | None = None) -> Clip:
        """The CLIP that saw everything (``original``), or nothing forgotten (``oracle``)."""
        spec = self.case.train if seed is None else replace(self.case.train, seed=seed)
        pairs, without = self.world.pairs("train"), []
        if kind == ORACLE:
            pairs = self.task.retain
            without = [concept.name for concept in self.task.forgotten_concepts]
        with self.running():
            folder = trained_clip(
                kind,
                self.world,
                pairs,
                spec,
                without=without,
                device=self.device,
                precision=self.case.precision,
                progress=False,
            )
        clip = load_clip(folder, self.device)
        clip.model.requires_grad_(False)
        return clip

    def result(self, name: str, trial: Trial, split: str) -> dict[str, Any]:
        """Measure one model: a reference, or what a method leaves.

        A method that fails is a result. What fails besides (a cache that cannot be written, a
        damaged oracle) is none, and stops the run.
        """
        with self.running():
            return self._result(name, trial, split)

    def running(self) -> AbstractContextManager[None]:
        """Threads, seeds and determinism as the case says, while a block runs."""
        return repeatable(self.case.erase.seed, self.case.threads)

    def _result(self, name: str, trial: Trial, split: str) -> dict[str, Any]:
        cost: dict[str, Any] = dict.fromkeys(self.costs)
        original = self.original
        if name == ORIGINAL:
            model = original
        elif name.startswith(ORACLE):
            model = self.load(name)
        else:
            try:
                model, cost = self.erase(original, name, *parts(trial))
            except ErasekitError as error:
                return {"failed": str(error), "metrics": None, "expected_gap": None}
        metrics = self.measure(model, split)
        found: dict[str, Any] = {"failed": None, "metrics": metrics, **cost}
        if split == "validation":
            gap = expected_gap(metrics, self.original_metrics, self.expected, self.measures)
            return {**found, "expected_gap": gap}
        metrics |= self.attack(model)
        return {**found, "retraining_seconds": self.retraining_seconds()}

    @cached_property
    def original_metrics(self) -> dict[str, float]:
        """Of the original on validation, where trials are compared."""
        return self.measure(self.original, "validation")

    @cached_property
    def original(self) -> Any:
        """The model before erasing."""
        return self.load(ORIGINAL)

    @abstractmethod
    def load(self, name: str) -> Any:
        """The original or an oracle, by its name in the records; trained if need be."""

    @abstractmethod
    def erase(
        self, original: Any, name: str, options: dict[str, Any], spec: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """What a method leaves of the original, and what it cost by the names of `costs`."""

    @abstractmethod
    def measure(self, model: Any, split: str) -> dict[str, float]:
        """Every measure of one model by its name."""

    @abstractmethod
    def attack(self, model: Any) -> dict[str, float]:
        """What attacks find on the test split, by name."""

    @abstractmethod
    def retraining_seconds(self) -> float:
        """What it takes to train an oracle."""
