"""MUNBa: Nash bargaining between the forgetting and the retention gradient.

The forget loss is the negative contrastive loss on the forget pairs, in place of a classifier's
negative cross-entropy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MUNBa(Method):
    """L = α_f · (−InfoNCE(forget)) + α_r · InfoNCE(retain), α by Nash bargaining at each step.

    The step that maximises the product of both players' gains solves GᵀG α = 1/α, G the two
    gradients. For two players the solution is α_k = 1 / (‖g_k‖ √(1 + cos(g_f, g_r))). To first
    order, both gains are then equal relative to the norm of their gradient. No gradient flows
    through the weights.
    """

    name: ClassVar[str] = "munba"
    summary: ClassVar[str] = "ascent on forget, descent on retain, weighed by Nash bargaining"
    source: ClassVar[str] = "Wu and Harandi, arXiv 2411.15537"

    contrasts_forget: ClassVar[bool] = True
    weighs_gradients: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return {"forgetting": -contrastive(forget), "retention": contrastive(retain)}

    def weigh(self, gradients: dict[str, Tensor]) -> dict[str, float]:
        forget, retain = gradients["forgetting"], gradients["retention"]
        f, r = float(forget.norm()), float(retain.norm())
        if not f * r:  # a zero gradient: bargaining is undefined
            return {"forgetting": 1.0, "retention": 1.0}
        # For opposite gradients, no step helps both; the bound keeps the weights finite.
        shared = max(1 + float(forget @ retain) / (f * r), 1e-6) ** 0.5
        return {"forgetting": 1 / (f * shared), "retention": 1 / (r * shared)}
