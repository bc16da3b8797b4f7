"""The other objective that goes by CLIPErase's name: ascent on InfoNCE.

Forget rows climb the contrastive loss; retain rows are held to the original's
softmax by KL. Known from secondary notes on the paper, and kept apart from
`cliperase`, since the two are different mathematics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import contrastive, drift, weighted
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CLIPEraseInfoNCE(Method):
    """L = −forgetting · InfoNCE(forget) + consistency · KL(row softmaxes on retain)."""

    name: ClassVar[str] = "cliperase_infonce"
    summary: ClassVar[str] = "ascent on the forget pairs' InfoNCE, KL on the retain rows"
    source: ClassVar[str] = "circulates under CLIPErase's name; secondary notes on arXiv 2410.23330"

    forgetting: float = 1.0
    consistency: float = 3.0

    needs_original: ClassVar[bool] = True
    contrasts_forget: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            ("forgetting", -self.forgetting, lambda: contrastive(forget)),
            ("consistency", self.consistency, lambda: drift(retain)),
        )
