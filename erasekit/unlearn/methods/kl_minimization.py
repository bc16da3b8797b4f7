"""KL minimisation: ascent on the forget set, and the original's answers on the retain set.

A language model's KL is over its next word; a classifier's over its classes. CLIP's
answers are its softmaxes over a batch, in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import contrastive, drift, weighted
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class KLMinimization(Method):
    """L = −forgetting · InfoNCE(forget) + retention · KL(original ‖ current) on retain."""

    name: ClassVar[str] = "kl_minimization"
    summary: ClassVar[str] = "ascent on forget pairs, the original's answers on retain pairs"
    source: ClassVar[str] = "Maini et al. 2024, arXiv 2401.06121 (TOFU's KL minimisation)"

    forgetting: float = 1.0
    retention: float = 1.0

    needs_original: ClassVar[bool] = True
    contrasts_forget: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            ("forgetting", -self.forgetting, lambda: contrastive(forget)),
            ("retention", self.retention, lambda: drift(retain)),
        )
