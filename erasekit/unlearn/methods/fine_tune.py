"""Fine-tuning on the retain set alone: the control.

It tells what plain further training does, so that a method's gain on the retain set
is not mistaken for the method's merit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FineTune(Method):
    """L = InfoNCE(retain): θ − η∇L_r."""

    name: ClassVar[str] = "fine_tune"
    summary: ClassVar[str] = "further training on the retain set only: the control"
    source: ClassVar[str] = "the customary control, e.g. Warnecke et al. 2021"

    needs_forget: ClassVar[bool] = False

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        return {"retention": contrastive(retain)}
