"""What the engine must know of a kind of model; one subclass for each kind.

The engine, the masks and the methods know rows, losses and weights. How rows are made of pictures,
captions or questions is known here alone.
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
    """A CLIP or a multimodal language model, as the engine uses one."""

    @property
    def model(self) -> Any: ...
    def copy(self) -> Self: ...
    def fingerprint(self) -> str: ...


M = TypeVar("M", bound=Model)


class Adapter(ABC, Generic[M]):
    """A model that is being erased, its task, and the rows of each step.

    Args:
        original: not changed.
        task: what must go and what must stay.
        method: what is asked of the rows.
        spec: batches, seed, precision.
        frozen: what erasures from one original can share, if the adapter has such.

    Attributes:
        erased: a copy of the original, which is changed.
    """

    #: Which kind of model it is for, of `method.KINDS`.
    kind: ClassVar[str]
    #: The parts that `EraseSpec.moves` can name.
    parts: ClassVar[Parts]
    #: Whether Adam's steps are fused. It decides their last digits, and thereby the results.
    fused: ClassVar[bool]
    #: What the method's loss gets beside the rows.
    prompts: Any = None
    #: Share of rows in words alone among those that must stay, in `sample`.
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
        """Decide which rows are in which step; called once, before the first."""

    @abstractmethod
    def at(self, step: int) -> tuple[Rows | None, Rows | None]:
        """The forget and the retain rows of a step by the model as it is now, differentiable."""

    @abstractmethod
    def sample(self, which: Which, batches: int | None) -> Sequence[Callable[[], Rows]]:
        """Batches drawn by the spec's seed, each made when it is called.

        Args:
            which: rows that must go, that must stay, or that must stay and are words alone.
            batches: how many; None for as many as are usual.
        """

    @abstractmethod
    def validation(self) -> dict[str, float]:
        """``validation_forget`` and ``validation_retain``: shares that are recognised."""

    @abstractmethod
    def adapts(self, name: str, layer: nn.Module) -> bool:
        """Whether LoRA puts an adapter beside a layer."""

    def reads_text(self, name: str) -> bool:
        """Whether rows in words alone pass through a weight."""
        return False

    def forgotten_texts(self) -> Tensor:
        """See `Look.forgotten_texts`."""
        raise NotImplementedError
