"""Task negation: fine-tune on the forget set, then subtract the weight change.

The paper fine-tunes CLIP's image tower against the fixed texts of a task's classes. Here it is
fine-tuned with CLIP's loss, against the fixed captions of the forget pairs; with `towers="both"`,
the text tower is fine-tuned and negated too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.look import Look


@dataclass(frozen=True)
class TaskNegation(Method):
    """θ = θ_o − λ (θ_ft − θ_o), θ_ft the original fine-tuned by InfoNCE(forget).

    `scale` is λ. The method does not use the retain set. The history shows the loss of the
    fine-tuning, which decreases.
    """

    name: ClassVar[str] = "task_negation"
    summary: ClassVar[str] = "fine-tunes on forget, then subtracts the weight change"
    source: ClassVar[str] = "Ilharco et al., ICLR 2023, arXiv 2212.04089"

    scale: float = 1.0
    towers: Literal["image", "both"] = "image"

    contrasts_forget: ClassVar[bool] = True

    def mask(self, look: Look) -> dict[str, Tensor] | None:
        if self.towers == "both":
            return None
        image = {k: v for k, v in look.weights.items() if k.startswith("visual.")}
        return {name: weight.new_ones(weight.shape).bool() for name, weight in image.items()}

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return {"fine_tuning": contrastive(forget)}

    def finish(self, look: Look) -> None:
        for name, weight in look.weights.items():
            before = look.original[name]
            weight.copy_(before - self.scale * (weight - before))
