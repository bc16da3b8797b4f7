"""Variant of CLIPErase that uses gradient ascent on InfoNCE.

This is the objective of FMUClip, an independent reimplementation, as described in secondary
notes on its code. Its equations differ from those of `cliperase`.
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
    """L = −forgetting · InfoNCE(forget) + retention · InfoNCE(retain) + consistency · KL(retain).

    InfoNCE(forget) is the sum of both directions' cross-entropies, not their mean. Its softmax
    runs over the forget and retain rows of the batch together, its mean over the forget rows
    only. KL is KL(original ‖ current) of the softmaxes over the retain rows; the notes name no
    direction (image to text or text to image), so both are used. Retention is CLIP's loss.
    """

    name: ClassVar[str] = "cliperase_infonce"
    summary: ClassVar[str] = "ascent on InfoNCE over all rows, retention, KL on the retain rows"
    source: ClassVar[str] = "circulates under CLIPErase's name (FMUClip); secondary notes"

    forgetting: float = 1.0
    retention: float = 1.0
    consistency: float = 3.0

    needs_original: ClassVar[bool] = True
    contrasts_forget: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            ("forgetting", -self.forgetting, lambda: joint_cross_entropy(forget, retain)),
            ("retention", self.retention, lambda: contrastive(retain)),
            ("consistency", self.consistency, lambda: drift(retain)),
        )


def joint_cross_entropy(forget: Features, retain: Features) -> Tensor:
    """Mean over forget rows of CE(picture → captions) + CE(caption → pictures) over all rows."""
    import torch

    image = torch.cat([forget.image_unit, retain.image_unit])
    text = torch.cat([forget.text_unit, retain.text_unit])
    logits = forget.scale * image @ text.T
    each = logits.logsumexp(1) + logits.logsumexp(0) - 2 * logits.diagonal()
    return each[: len(forget.image)].mean()
