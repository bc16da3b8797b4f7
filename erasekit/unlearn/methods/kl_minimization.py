"""KL minimisation: ascent on the forget set, KL to the original's outputs on the retain set.

As for language models in TOFU (arXiv 2401.06121, from secondary notes), the KL preserves the
original's output distribution on the retain set. For a language model, this is the distribution
of the next token at each position of an answer. For CLIP, it is the softmax over the batch: of a
picture over the captions, and of a caption over the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import weighted
from erasekit.unlearn.method import Method, Prompts, Rows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class KLMinimization(Method):
    """L = −forgetting · ℓ(forget) + retention · KL(original ‖ current) on retain.

    ℓ is the model's own training loss.
    """

    name: ClassVar[str] = "kl_minimization"
    summary: ClassVar[str] = "ascent on the forget set, the original's answers on the retain set"
    source: ClassVar[str] = "Maini et al. 2024, arXiv 2401.06121 (TOFU's KL minimisation)"

    forgetting: float = 1.0
    retention: float = 1.0

    kinds: ClassVar[tuple[str, ...]] = ("clip", "language")
    needs_original: ClassVar[bool] = True
    contrasts_forget: ClassVar[bool] = True

    def loss(self, forget: Rows | None, retain: Rows, prompts: Prompts | None) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            ("forgetting", -self.forgetting, lambda: forget.loss),
            ("retention", self.retention, lambda: retain.divergence),
        )
