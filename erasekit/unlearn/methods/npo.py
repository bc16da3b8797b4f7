"""Negative preference optimisation: ascent that slows as the pair gets unlikely.

Gradient ascent weighs every pair alike for ever. Here a pair weighs less the further it
has fallen below what the original thought of it, so that the loss has a floor of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.errors import UsageError
from erasekit.unlearn.losses import contrastive, pair_nll, weighted
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class NPO(Method):
    """L = −(2/β) log σ(β (NLL_u − NLL_o)) on forget + retention · InfoNCE(retain).

    NLL is a pair's part of the contrastive loss. With retention 0 it is the paper's NPO,
    else its variant with a retain loss. As β goes to 0 the gradient becomes that of
    gradient ascent.
    """

    name: ClassVar[str] = "npo"
    summary: ClassVar[str] = "ascent that slows as a forget pair gets unlikely"
    source: ClassVar[str] = "Zhang et al. 2024, arXiv 2404.05868"

    beta: float = 0.5
    forgetting: float = 1.0
    retention: float = 1.0

    needs_original_forget: ClassVar[bool] = True
    contrasts_forget: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.beta:
            raise UsageError("npo: beta = 0 must be above 0; gradient_ascent is its limit")

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            ("forgetting", self.forgetting, lambda: preference_loss(forget, self.beta)),
            ("retention", self.retention, lambda: contrastive(retain)),
        )


def preference_loss(forget: Features, beta: float) -> Tensor:
    """−(2/β) log σ(β (NLL_u − NLL_o)), the mean over the forget pairs."""
    assert forget.original_image is not None and forget.original_text is not None
    assert forget.original_scale is not None
    now = pair_nll(forget.image_unit, forget.text_unit, forget.scale)
    before = pair_nll(forget.original_image, forget.original_text, forget.original_scale)
    return -2 / beta * _log_sigmoid(beta * (now - before)).mean()


def _log_sigmoid(x: Tensor) -> Tensor:
    # log σ(x) = −log(1 + e⁻ˣ), written so that a large −x does not overflow.
    return x.clamp(max=0) - (-x.abs()).exp().log1p()
