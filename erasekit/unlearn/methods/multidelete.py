"""MultiDelete: make forget pairs as dissimilar as shuffled pairs.

The loss has three terms: forget pairs approach the similarity of shuffled pairs (modality
decoupling), the features of each modality of forget pairs are preserved (unimodal retention),
and retain pairs keep their similarity (multimodal retention).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import moved
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MultiDelete(Method):
    """L = forgetting · (s_f − s̄)² + retention · (s_r − s_r,o)² + consistency · ‖f − f_o‖².

    s is a pair's cosine, s̄ the original's cosine of a forget picture with a retained caption.
    The last term covers both modalities of the forget pairs. The paper compares fused
    representations; a CLIP has none, so the cosine is used.
    """

    name: ClassVar[str] = "multidelete"
    summary: ClassVar[str] = "forget pairs as dissimilar as shuffled pairs, all else kept"
    source: ClassVar[str] = "Cheng and Amiri, ECCV 2024, arXiv 2311.12047"

    forgetting: float = 1.0
    retention: float = 1.0
    consistency: float = 0.1

    needs_original: ClassVar[bool] = True
    needs_original_forget: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        assert forget.original_image is not None and forget.original_text is not None
        assert retain.original_image is not None and retain.original_text is not None
        terms: dict[str, Tensor] = {}
        if self.forgetting:
            n = len(forget.image)
            rows = [i % len(retain.image) for i in range(n)]
            unrelated = (forget.original_image * retain.original_text[rows]).sum(1)
            now = (forget.image_unit * forget.text_unit).sum(1)
            terms["forgetting"] = self.forgetting * (now - unrelated).square().mean()
        if self.retention:
            before = (retain.original_image * retain.original_text).sum(1)
            now = (retain.image_unit * retain.text_unit).sum(1)
            terms["retention"] = self.retention * (now - before).square().mean()
        if self.consistency:
            terms["consistency"] = self.consistency * moved(forget)
        return terms
