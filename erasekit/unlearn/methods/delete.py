"""DELETE: distil the original's distribution without the forgotten class.

For CLIP, the classes are the prompts of the retained concepts, and the removed logit is the
pair's own caption. Only forget data is used, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DELETE(Method):
    """L = KL(q ‖ p) on forget.

    p is a picture's softmax over its own caption and the retained prompts. q is the original's
    softmax over the retained prompts only, so the caption's probability in q is zero.
    """

    name: ClassVar[str] = "delete"
    summary: ClassVar[str] = "the original's answers without the forgotten one; forget data only"
    source: ClassVar[str] = "Zhou et al., CVPR 2025 (decoupled distillation to erase)"

    needs_original_forget: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None and prompts is not None
        assert forget.original_image is not None and forget.original_scale is not None
        target = (forget.original_scale * forget.original_image @ prompts.text.T).log_softmax(1)
        image = forget.image_unit
        others = forget.scale * image @ prompts.text.T
        own = (forget.scale * (image * forget.text_unit).sum(1)).unsqueeze(1)
        top = others.logsumexp(1, keepdim=True)
        everything = top + (own - top).exp().log1p()
        return {"forgetting": (target.exp() * (target - others + everything)).sum(1).mean()}
