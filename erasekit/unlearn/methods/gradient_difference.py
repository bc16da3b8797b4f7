"""Gradient difference: ascent on the forget set, descent on the retain set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import weighted
from erasekit.unlearn.method import Method, Prompts, Rows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GradientDifference(Method):
    """L = −forgetting · ℓ(forget) + retention · ℓ(retain), ℓ the model's own training loss."""

    name: ClassVar[str] = "gradient_difference"
    summary: ClassVar[str] = "ascent on the forget set, descent on the retain set"
    source: ClassVar[str] = "Liu et al. 2022, arXiv 2203.12817 (GradDiff)"

    forgetting: float = 1.0
    retention: float = 1.0

    kinds: ClassVar[tuple[str, ...]] = ("clip", "language")
    contrasts_forget: ClassVar[bool] = True

    def loss(self, forget: Rows | None, retain: Rows, prompts: Prompts | None) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            ("forgetting", -self.forgetting, lambda: forget.loss),
            ("retention", self.retention, lambda: retain.loss),
        )
