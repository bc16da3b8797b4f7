"""KL minimisation: ascent on the forget set, and the original's answers on the retain set.

As in the literature on language models (TOFU, arXiv 2401.06121, known here from secondary notes):
the KL holds the original's output distribution on the retain set. A language model's output is
its next word at each place of an answer. CLIP's is a softmax over the batch: a picture's over
the captions, and a caption's over the pictures.
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
