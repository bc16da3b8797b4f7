"""MMUnlearner: climb on what must go, by the weights that need it most; keep all else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from erasekit.unlearn.answers import Answers
from erasekit.unlearn.method import Method
from erasekit.unlearn.saliency import ratio_mask

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.look import Look


@dataclass(frozen=True)
class MMUnlearner(Method):
    """θ ← θ + η m ⊙ ∇CE(forget) now and then, θ ← θ − η ∇CE(retain) at every step.

    m = 1[(F_forget + ε) / (F_preserve + ε) ≥ threshold], F the mean squared gradient by weight:
    only what matters more to the forgotten pictures than to what must stay may climb. What must
    stay is, for the image tower and the projector, the retained visual questions; for the
    language model the text questions too.

    Options: `threshold`; `every`, how many retain steps follow each climb (0: as in the paper,
    len(retain) // len(forget); the default was chosen on validation); `masked`: whether the mask
    holds in climbs alone, as in the paper, or always. A climb has no weight: its gradient is
    clipped, and Adam would undo any factor.
    """

    name: ClassVar[str] = "mmunlearner"
    summary: ClassVar[str] = "climb on the forgotten pictures with the weights that they need most"
    source: ClassVar[str] = "Huo et al., Findings of ACL 2025, arXiv 2502.11051"

    threshold: float = 1.0
    every: int = 4
    masked: Literal["forgetting", "always"] = "forgetting"

    kinds: ClassVar[tuple[str, ...]] = ("language",)
    masks_adapters: ClassVar[bool] = True

    def loss(
        self, forget: Answers | None, retain: Answers | None, prompts: None
    ) -> dict[str, Tensor]:
        if forget is not None:
            return {"forgetting": -forget.loss}
        assert retain is not None
        return {"retention": retain.loss}

    def turns(self, forget: int, retain: int) -> int:
        return self.every or max(retain // max(forget, 1), 1)

    def mask(self, look: Look) -> dict[str, Tensor]:
        forget = look.squared_gradient("forget", _cross_entropy)
        return ratio_mask(forget, look.preserved(_cross_entropy), self.threshold)

    def masks_retain(self) -> bool:
        return self.masked == "always"


def _cross_entropy(answers: Answers) -> Tensor:
    return answers.loss
