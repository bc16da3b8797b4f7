"""Selective synaptic dampening: shrink the weights that matter more to the forgotten. No steps.

Importance is the squared gradient of the training loss: a classifier's cross-entropy in the
paper, CLIP's contrastive loss here. The paper holds the forget set's importance against that
of all training data; here it is held against the retained, so that a forget pair does not
count on both sides.
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

    F is the mean over batches of the squared batch gradient, and `dampening` is λ. The
    defaults are the paper's for a ResNet.
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
    """What each weight is multiplied with, from the two importances; 1 where it stays."""
    factor = (dampening * retain / forget).clamp(max=1)
    return factor.where(forget > alpha * retain, 1.0)
