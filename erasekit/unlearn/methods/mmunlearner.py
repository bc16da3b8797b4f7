"""MMUnlearner: masked gradient ascent on the forget set, alternating with descent on retain."""

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
    """Forget steps θ ← θ + η m ⊙ ∇CE(forget), alternating with retain steps θ ← θ − η ∇CE(retain).

    m = 1[(F_forget + ε) / (F_preserve + ε) ≥ threshold], F the mean squared gradient of each
    weight: a forget step only moves weights that matter more to the forget rows than to the rows
    to preserve. These are the retained visual questions and, for weights of the language model,
    also the text questions.

    Options: `threshold`; `every`, the number of retain steps after each forget step (0:
    len(retain) // len(forget), as in the paper; the default was chosen on validation); `masked`,
    whether the mask applies in forget steps only, as in the paper, or always. Forget steps have no
    loss weight, because gradient clipping and Adam would cancel it.
    """

    name: ClassVar[str] = "mmunlearner"
    summary: ClassVar[str] = "masked gradient ascent on forget, alternating with descent on retain"
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
