"""Selective synaptic dampening (SSD): shrink weights important to the forget set, no training.

Importance is the squared gradient of the training loss: a classifier's cross-entropy in the
paper, CLIP's contrastive loss here. The paper compares the forget set with all training data; we
compare it with the retain set, so that a forget pair does not count on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.look import Look


@dataclass(frozen=True)
class SSD(Method):
    """θ ← min(λ F_r / F_f, 1) · θ where F_f > α F_r.

    F is the mean over batches of the squared batch gradient; α is `alpha` and λ is `dampening`.
    The defaults are the paper's for a ResNet.
    """

    name: ClassVar[str] = "ssd"
    summary: ClassVar[str] = "weights that matter most to forget pairs are shrunk; no training"
    source: ClassVar[str] = "Foster, Schoepf and Brintrup, AAAI 2024, arXiv 2308.07707"

    alpha: float = 10.0
    dampening: float = 1.0

    trains: ClassVar[bool] = False

    def finish(self, look: Look) -> None:
        forget = look.squared_gradient("forget", contrastive)
        retain = look.squared_gradient("retain", contrastive)
        for name, weight in look.weights.items():
            weight.mul_(damping(forget[name], retain[name], self.alpha, self.dampening))


def damping(forget: Tensor, retain: Tensor, alpha: float, dampening: float) -> Tensor:
    """The factor of each weight, from its two importances; 1 for weights that stay."""
    factor = (dampening * retain / forget).clamp(max=1)
    return factor.where(forget > alpha * retain, 1.0)
