"""SCRUB: a student diverges from its teacher on the forget set and follows it on the retain set.

The paper alternates epochs of the two; here each step does both. The paper's KL over classes
becomes a KL over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import contrastive, drift, weighted
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SCRUB(Method):
    """L = −forgetting · KL(o ‖ u) on forget + (alpha · KL(o ‖ u) + gamma · InfoNCE) on retain."""

    name: ClassVar[str] = "scrub"
    summary: ClassVar[str] = "away from the original on forget pairs, towards it on retain"
    source: ClassVar[str] = "Kurmanji et al. 2023, arXiv 2302.09880"

    forgetting: float = 1.0
    alpha: float = 1.0
    gamma: float = 1.0

    needs_original: ClassVar[bool] = True
    needs_original_forget: ClassVar[bool] = True
    contrasts_forget: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            ("forgetting", -self.forgetting, lambda: drift(forget)),
            ("consistency", self.alpha, lambda: drift(retain)),
            ("retention", self.gamma, lambda: contrastive(retain)),
        )
