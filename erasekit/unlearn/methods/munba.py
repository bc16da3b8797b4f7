"""MUNBa: forgetting and retention bargain over each step.

A classifier's forget loss is cross-entropy, climbed; CLIP's is its contrastive loss on the
forget pairs, climbed too.
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
    gradients. For two it has a closed form: α_k = 1 / (‖g_k‖ √(1 + cos(g_f, g_r))). To first
    order both then gain alike for the length of their gradient. The weights are constants of
    the step.
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
        if not f * r:  # one player has nothing to ask for: no bargain
            return {"forgetting": 1.0, "retention": 1.0}
        # Opposite gradients leave no step that both gain by; the weights then stay finite.
        shared = max(1 + float(forget @ retain) / (f * r), 1e-6) ** 0.5
        return {"forgetting": 1 / (f * shared), "retention": 1 / (r * shared)}
