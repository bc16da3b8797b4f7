"""Gradient difference: ascent on the forget set, descent on the retain set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.models.contrastive import info_nce
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
        terms: dict[str, Tensor] = {}
        if self.forgetting:
            terms["forgetting"] = -self.forgetting * info_nce(
                forget.image_unit, forget.text_unit, forget.scale
            )
        if self.retention:
            terms["retention"] = self.retention * info_nce(
                retain.image_unit, retain.text_unit, retain.scale
            )
        return terms
