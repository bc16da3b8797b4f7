"""Gradient ascent: climb the training loss on the forget set, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GradientAscent(Method):
    """L = −InfoNCE(forget): θ + η∇L_f.

    The loss has no ceiling, and nothing holds the rest: it ends in collapse if it goes on.
    """

    name: ClassVar[str] = "gradient_ascent"
    summary: ClassVar[str] = "ascent on the forget pairs' contrastive loss alone"
    source: ClassVar[str] = "Golatkar et al. 2020, arXiv 1911.04933 (NegGrad)"

    contrasts_forget: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return {"forgetting": -contrastive(forget)}
