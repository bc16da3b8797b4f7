"""Base class of the adapters between the engine and each kind of model.

The engine, the masks and the methods work on rows, losses and weights. Only adapters know how
rows are made from pictures, captions or questions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

from torch import Tensor, nn

from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.method import Method, Rows
from erasekit.unlearn.moves import Parts

Which = Literal["forget", "retain", "text"]


class Model(Protocol):
    """The interface of CLIPs and multimodal language models that the engine uses."""

    @property
    def model(self) -> Any: ...
    def copy(self) -> Self: ...
    def fingerprint(self) -> str: ...


M = TypeVar("M", bound=Model)


class Adapter(ABC, Generic[M]):
    """A model being erased, its task, and the rows of each step.

    Args:
        original: the model before unlearning; not changed.
        task: the forget and retain sets.
        method: the unlearning method, which determines what the rows contain.
        spec: batches, seed, precision.
        frozen: features of the original that erasures share, if the adapter uses them.

    Attributes:
        erased: a copy of the original, modified in place.
    """

    #: The kind of model, a key of `method.KINDS`.
    kind: ClassVar[str]
    #: The parts that `EraseSpec.moves` can name.
    parts: ClassVar[Parts]
    #: Whether Adam's steps are fused. This affects the last digits of the results.
    fused: ClassVar[bool]
    #: The `prompts` argument of the method's loss.
    prompts: Any = None
    #: Share of text-only rows among the retain rows of `sample`.
    text_share: float = 0.0

    def __init__(
        self, original: M, task: Any, method: Method, spec: EraseSpec, frozen: Any = None
    ) -> None:
        method.check_kind(self.kind)
        self.original, self.task, self.method, self.spec = original, task, method, spec
        self.frozen = frozen
        self.erased = original.copy()
        self.erased.model.eval().requires_grad_(True)

    @abstractmethod
    def plan(self) -> None:
        """Assign rows to steps; called once, before the first step."""

    @abstractmethod
    def at(self, step: int) -> tuple[Rows | None, Rows | None]:
        """The forget and retain rows of a step, computed by the current model; differentiable."""

    @abstractmethod
    def sample(self, which: Which, batches: int | None) -> Sequence[Callable[[], Rows]]:
        """Batches drawn with the spec's seed, as functions that compute them when called.

        Args:
            which: forget rows, retain rows, or text-only retain rows.
            batches: number of batches; None for the adapter's default.
        """

    @abstractmethod
    def validation(self) -> dict[str, float]:
        """Recognition rates on validation: ``validation_forget`` and ``validation_retain``."""

    @abstractmethod
    def adapts(self, name: str, layer: nn.Module) -> bool:
        """Whether LoRA adds an adapter to a layer."""

    def reads_text(self, name: str) -> bool:
        """Whether text-only rows pass through a weight."""
        return False

    def forgotten_texts(self) -> Tensor:
        """See `Look.forgotten_texts`."""
        raise NotImplementedError
