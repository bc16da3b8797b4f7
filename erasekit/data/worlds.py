"""What a world is: each gives pairs of a picture and a caption, and some can draw new pictures.

The erasure task, the engine and the scorecard work with any world that gives pairs. The audit asks
for one that draws, where its tests do. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from erasekit.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from erasekit.data.pairs import Pairs

#: The lists of pairs that a world has.
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Concept:
    """One thing that pictures show, which can be named and forgotten."""

    index: int  #: position in its world's concept list
    name: str  #: English name, the one used to ask for it
    emoji: str  #: the character that Unicode gives it
    group: str  #: the one group it belongs to
    names: Mapping[str, str] = field(hash=False)  #: language code to name
    article: str = "a"  #: English article, empty for plurals and mass nouns
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    descriptions: tuple[str, ...] = ()  #: short English descriptions without the name
    holdout: bool = False  #: in the vocabulary, never in training
    prompts: tuple[str, ...] = ()  #: what zero-shot compares a picture with; empty: the templates

    @property
    def phrase(self) -> str:
        """The English name with its article: ``a red apple``, ``grapes``."""
        return f"{self.article} {self.name}".strip()


@dataclass(frozen=True)
class Lessons:
    """A training list as a contrastive loss takes it.

    Attributes:
        captions: n texts.
        alike: whole numbers, shape (n, k). Two pairs that share a number in a column belong
            together: each is a positive of the other. None where no batch may hold two such pairs.
    """

    captions: list[str]
    alike: np.ndarray | None = None


class PairsWorld(Protocol):
    """A world that gives pairs and can be trained on: what every world does.

    Attributes:
        concepts: everything that has a name.
        trained: indices of the concepts that are in the training list.
        holdout: indices of the concepts that are in the vocabulary and in no training list.
    """

    concepts: tuple[Concept, ...]
    trained: tuple[int, ...]
    holdout: tuple[int, ...]

    @property
    def spec(self) -> Any:
        """What decides the world: has at least `languages`, `seed` and `as_dict()`."""
        ...

    def concept(self, index: int) -> Concept:
        """The concept with this index."""
        ...

    def pairs(self, split: str) -> Pairs:
        """The pairs of a split."""
        ...

    def captions_in(self, pairs: Pairs, split: str, language: str) -> list[str]:
        """The captions of `pairs`, which come from `split`, in one language."""
        ...

    def choose(
        self, forget: str | Sequence[str], gone: Sequence[str]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Indices of the concepts to forget, and of those to retain.

        Args:
            forget: names, or a rule.
            gone: names of what earlier requests took; neither forgotten again nor retained.

        Raises:
            UsageError: for unknown names, and when nothing is left to forget or to retain.
        """
        ...

    @property
    def image_size(self) -> int:
        """Side of its pictures in pixels."""
        ...

    def identity(self) -> dict[str, Any]:
        """What decides its pictures, its words and their order, as JSON holds it."""
        ...

    def vocabulary(self) -> list[str]:
        """The texts that a tokenizer is trained on, those of forgotten things included."""
        ...

    def texts(self) -> set[str]:
        """Every text that a model of this world is asked to read."""
        ...

    def lessons(self, pairs: Pairs) -> Lessons:
        """What of `pairs` is trained on."""
        ...


@dataclass(frozen=True)
class Sample:
    """What one drawn picture shows and how it is told, before any pixel exists."""

    concepts: tuple[int, ...]
    layout: str  #: single, row or column
    centres: np.ndarray  #: (k, 2), x and y from 0 to 1
    sizes: np.ndarray  #: (k,), share of the picture's side
    turns: np.ndarray  #: (k,), radians
    tints: np.ndarray  #: (k, 3), factor on red, green and blue
    background: np.ndarray  #: (2, 3), the two colours of a gradient
    slope: float  #: direction of the gradient, radians
    language: str
    choice: float  #: in [0, 1), picks the template
    describe: bool


@runtime_checkable
class DrawingWorld(PairsWorld, Protocol):
    """A world that can draw any sample: its own again, or a changed one."""

    def samples(self, split: str) -> list[Sample]:
        """Every sample of a split, in order."""
        ...

    def caption(self, sample: Sample, language: str | None = None) -> str:
        """The caption of a sample, in its own language or in another."""
        ...

    def render(self, samples: Sequence[Sample]) -> Tensor:
        """Pictures of the samples, uint8, shape (n, 3, size, size)."""
        ...


#: What a test says of a part that needs a world that draws.
NOT_DRAWN = "{} are left out: they are drawn, which only the embedded world can."


def drawing(world: PairsWorld, what: str) -> DrawingWorld:
    """`world`, if it can draw.

    Raises:
        UsageError: if it cannot; says that `what` needs it.
    """
    if not isinstance(world, DrawingWorld):
        raise UsageError(
            f"{what} draws its own pictures of the embedded world, and cannot do so yet for "
            "your own data: use the scorecard"
        )
    return world
