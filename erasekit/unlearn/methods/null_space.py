"""Null space: project the forgotten texts' directions out, without training or pictures.

The method was designed for CLIP, where the text feature of its prompts represents a class. A
forgotten concept has one feature per forget language, and all of them are projected out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from erasekit.errors import RunError, UsageError
from erasekit.unlearn.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.look import Look

#: open_clip's parameter names of the final projection, by tower.
_PROJECTIONS = {
    "image": (("visual.attnpool.c_proj.weight", "visual.attnpool.c_proj.bias"), ("visual.proj",)),
    "text": (("text_projection",), ("text_projection.weight",), ("text.text_projection",)),
}


@dataclass(frozen=True)
class NullSpace(Method):
    """W ← (I − strength · B Bᵀ) W, W the final projection, B a basis of the forgotten texts' span.

    B is orthonormal. With strength 1, every picture's similarity to a forgotten text is 0. The
    paper projects the image tower. Projecting the text tower reduces a forgotten text's feature
    to rounding error, which normalisation turns into an arbitrary direction.
    """

    name: ClassVar[str] = "null_space"
    summary: ClassVar[str] = "the forgotten texts' span is projected out; no training, no pictures"
    source: ClassVar[str] = "Mishra et al. 2025, arXiv 2512.14137 (CCUP)"

    towers: Literal["image", "text", "both"] = "image"
    strength: float = 1.0

    trains: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.strength > 1:
            raise UsageError(f"null_space: strength = {self.strength} must be at most 1")

    def finish(self, look: Look) -> None:
        span = basis(look.forgotten_texts())
        for tower in ("image", "text") if self.towers == "both" else (self.towers,):
            for name in _projection(look.original, tower):
                weight = look.weights[name]
                # A matrix applied as `x @ W` has the feature dimensions as columns.
                rows = weight if name.endswith(("weight", "bias")) else weight.T
                rows.sub_(self.strength * (span.T @ (span @ rows)))


def basis(vectors: Tensor) -> Tensor:
    """Orthonormal rows that span the rows of `vectors`, shape (rank, d)."""
    import torch

    # On the CPU in double precision, so that the rank does not depend on the device.
    _, sizes, directions = torch.linalg.svd(vectors.double().cpu(), full_matrices=False)
    return directions[sizes > 1e-5 * sizes[0]].to(vectors)


def _projection(weights: dict[str, Tensor], tower: str) -> tuple[str, ...]:
    for names in _PROJECTIONS[tower]:
        if names[0] in weights:
            return names
    raise RunError(
        f"null_space: the {tower} tower has no final projection that is known here "
        f"({', '.join(names[0] for names in _PROJECTIONS[tower])}): choose another method"
    )
