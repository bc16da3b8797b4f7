"""Protocols of worlds: every world provides pairs, and some can draw new pictures.

The erasure task, the engine and the scorecard work with any world. Some audit tests need a
drawing world. This module does not need torch.
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

#: Splits of a world.
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Concept:
    """One thing that pictures show and that can be forgotten."""

    index: int  #: position in its world's concept list
    name: str  #: English name, used in requests
    emoji: str  #: its Unicode character
    group: str  #: its group
    names: Mapping[str, str] = field(hash=False)  #: language code to name
    article: str = "a"  #: English article, empty for plurals and mass nouns
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    descriptions: tuple[str, ...] = ()  #: short English descriptions without the name
    holdout: bool = False  #: in the vocabulary, never in training
    prompts: tuple[str, ...] = ()  #: zero-shot prompts; empty: the templates

    @property
    def phrase(self) -> str:
        """The English name with its article: ``a red apple``, ``grapes``."""
        return f"{self.article} {self.name}".strip()


@dataclass(frozen=True)
class Lessons:
    """A training list for a contrastive loss.

    Attributes:
        captions: n texts.
        alike: integers, shape (n, k). Two pairs with the same number in a column are positives
            of each other. None if no batch may hold two such pairs.
    """

    captions: list[str]
    alike: np.ndarray | None = None


class PairsWorld(Protocol):
    """Protocol of every world: it provides pairs for training and evaluation.

    Attributes:
        concepts: all named concepts.
        trained: indices of the concepts in the training list.
        holdout: indices of the concepts in the vocabulary that no training list contains.
    """

    concepts: tuple[Concept, ...]
    trained: tuple[int, ...]
    holdout: tuple[int, ...]

    @property
    def spec(self) -> Any:
        """The world's specification: has at least `languages`, `seed` and `as_dict()`."""
        ...

    def concept(self, index: int) -> Concept:
        """Return the concept with this index."""
        ...

    def pairs(self, split: str) -> Pairs:
        """Return the pairs of a split."""
        ...

    def captions_in(self, pairs: Pairs, split: str, language: str) -> list[str]:
        """Return the captions of `pairs`, which come from `split`, in one language."""
        ...

    def choose(
        self, forget: str | Sequence[str], gone: Sequence[str]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the indices of the concepts to forget and of those to retain.

        Args:
            forget: names, or a rule.
            gone: names erased by earlier requests; neither forgotten again nor retained.

        Raises:
            UsageError: for unknown names, and when nothing is left to forget or to retain.
        """
        ...

    @property
    def image_size(self) -> int:
        """Side of its pictures in pixels."""
        ...

    def identity(self) -> dict[str, Any]:
        """JSON-serialisable values that determine its pictures, its texts and their order."""
        ...

    def vocabulary(self) -> list[str]:
        """Return the texts to train a tokenizer on, including those of forgotten concepts."""
        ...

    def texts(self) -> set[str]:
        """Return every text that models of this world encode."""
        ...

    def lessons(self, pairs: Pairs) -> Lessons:
        """Return the training list of `pairs`."""
        ...


@dataclass(frozen=True)
class Sample:
    """Description of one drawn picture and its caption, before rendering."""

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
    """Protocol of a world that can render any sample, including altered ones."""

    def samples(self, split: str) -> list[Sample]:
        """Return every sample of a split, in order."""
        ...

    def caption(self, sample: Sample, language: str | None = None) -> str:
        """Return the caption of a sample, in its own language or in another."""
        ...

    def render(self, samples: Sequence[Sample]) -> Tensor:
        """Render the samples: uint8, shape (n, 3, size, size)."""
        ...


#: Note of a test about conditions that need a drawing world.
NOT_DRAWN = "{} are left out: they are drawn, which only the embedded world can."


def drawing(world: PairsWorld, what: str) -> DrawingWorld:
    """Return `world` if it can draw.

    Raises:
        UsageError: if it cannot; says that `what` needs a drawing world.
    """
    if not isinstance(world, DrawingWorld):
        raise UsageError(
            f"{what} draws its own pictures of the embedded world, and cannot do so yet for "
            "your own data: use the scorecard"
        )
    return world
