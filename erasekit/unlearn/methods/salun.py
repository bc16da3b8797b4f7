"""SalUn: random labels, restricted to the weights that are salient for the forget set.

Saliency is the gradient of the training loss on the forget set: cross-entropy for a classifier,
the contrastive loss for CLIP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.errors import UsageError
from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.methods.random_label import RandomLabel
from erasekit.unlearn.saliency import largest_weights

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.look import Look


@dataclass(frozen=True)
class SalUn(RandomLabel):
    """L of random label, with the mask m = 1[|∇L_f(θ_o)| ≥ γ] on the weights.

    γ is chosen so that a `share` of all weights may move; at 0.5 it is the median, as in the
    paper.
    """

    name: ClassVar[str] = "salun"
    summary: ClassVar[str] = "random label on the half of the weights with the largest gradient"
    source: ClassVar[str] = "Fan et al., ICLR 2024, arXiv 2310.12508"

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"salun: share = {self.share} must be above 0, and at most 1")

    def mask(self, look: Look) -> dict[str, Tensor]:
        return largest_weights(look.gradient("forget", contrastive), self.share)
