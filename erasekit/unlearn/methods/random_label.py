"""Random label: train each forget picture on a wrong caption.

In place of a classifier's wrong class, the target is a random retained caption of the batch. The
candidates are all retained captions of the batch and the picture's own caption.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.losses import contrastive, weighted
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RandomLabel(Method):
    """L = forgetting · CE(forget picture → a retained caption) + retention · InfoNCE(retain)."""

    name: ClassVar[str] = "random_label"
    summary: ClassVar[str] = "forget pictures learn retained captions"
    source: ClassVar[str] = "Golatkar et al. 2020, arXiv 1911.04933; as in SalUn, arXiv 2310.12508"

    forgetting: float = 1.0
    retention: float = 1.0

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            ("forgetting", self.forgetting, lambda: wrong_caption_loss(forget, retain)),
            ("retention", self.retention, lambda: contrastive(retain)),
        )


def wrong_caption_loss(forget: Features, retain: Features) -> Tensor:
    """Mean cross-entropy of forget picture i with retained caption i of the batch.

    The order of a batch is random, so the i-th caption is a random one. If the retain batch is
    smaller than the forget batch, its captions repeat.
    """
    image, own = forget.image_unit, forget.text_unit
    others = forget.scale * image @ retain.text_unit.T
    matched = (forget.scale * (image * own).sum(1)).unsqueeze(1)
    rows = [i % others.shape[1] for i in range(len(image))]
    wrong = others[list(range(len(image))), rows]
    # log(e^own + Σ e^others), with the own caption as one more candidate
    top = others.logsumexp(1, keepdim=True)
    everything = top + (matched - top).exp().log1p()
    return (everything.squeeze(1) - wrong).mean()
