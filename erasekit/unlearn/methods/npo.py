"""Negative preference optimisation: ascent that slows as a row gets unlikely.

Gradient ascent weighs every row alike for ever. Here a row weighs less the further it
has fallen below what the original thought of it, so that the loss has a floor of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from erasekit.errors import UsageError
from erasekit.unlearn.losses import weighted
from erasekit.unlearn.method import Method, Prompts, Rows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class NPO(Method):
    """L = −(2/β) log σ(β (NLL_u − NLL_o)) on forget + retention · ℓ(retain).

    NLL is that of an answer, or a pair's part of the contrastive loss; ℓ is the model's own
    training loss. With retention 0 it is the paper's NPO, else its variant with a retain loss.
    As β goes to 0 the gradient becomes that of gradient ascent. An answer's NLL is a sum over
    its tokens, so that a language model's β is smaller.
    """

    name: ClassVar[str] = "npo"
    summary: ClassVar[str] = "ascent that slows as a forget row gets unlikely"
    source: ClassVar[str] = "Zhang et al. 2024, arXiv 2404.05868"

    beta: float = 0.5
    forgetting: float = 1.0
    retention: float = 1.0

    kinds: ClassVar[tuple[str, ...]] = ("clip", "language")
    kind_defaults: ClassVar[dict[str, dict[str, Any]]] = {"language": {"beta": 0.1}}
    needs_original_forget: ClassVar[bool] = True
    contrasts_forget: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.beta:
            raise UsageError("npo: beta = 0 must be above 0; gradient_ascent is its limit")

    def loss(self, forget: Rows | None, retain: Rows, prompts: Prompts | None) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            ("forgetting", self.forgetting, lambda: preference_loss(forget, self.beta)),
            ("retention", self.retention, lambda: retain.loss),
        )


def preference_loss(forget: Rows, beta: float) -> Tensor:
    """−(2/β) log σ(β (NLL_u − NLL_o)), the mean over the forget rows."""
    return -2 / beta * _log_sigmoid(beta * (forget.nll - forget.original_nll)).mean()


def _log_sigmoid(x: Tensor) -> Tensor:
    # log σ(x) = −log(1 + e⁻ˣ), written so that a large −x does not overflow. At 0, where every
    # row begins, `clamp` and `abs` have gradients that do not add up to σ(0).
    return x.where(x < 0, 0.0) - x.where(x < 0, -x).exp().log1p()
