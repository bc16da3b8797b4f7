"""Gradient difference: ascent on the forget set, descent on the retain set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import contrastive, weighted
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GradientDifference(Method):
    """L = −forgetting · InfoNCE(forget) + retention · InfoNCE(retain)."""

    name: ClassVar[str] = "gradient_difference"
    summary: ClassVar[str] = "ascent on forget pairs, descent on retain pairs"
    source: ClassVar[str] = "Liu et al. 2022, arXiv 2203.12817 (GradDiff)"

    forgetting: float = 1.0
    retention: float = 1.0

    contrasts_forget: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            ("forgetting", -self.forgetting, lambda: contrastive(forget)),
            ("retention", self.retention, lambda: contrastive(retain)),
        )
