"""DELETE: keep the original's order of all other answers, with the forgotten one struck out.

A classifier's classes are, for CLIP, the prompts of the retained concepts; the struck-out
logit is the pair's own caption. Forget data alone is used, as in the paper.
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

    p is the softmax of a picture over its own caption and the retained prompts, q the
    original's over the retained prompts alone: the own caption's probability in q is zero.
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
