"""Negative preference optimisation (NPO): gradient ascent that slows as a row becomes unlikely.

Gradient ascent keeps weighting all rows equally. NPO reduces the weight of a row as its
likelihood falls below the original's, so that the loss is bounded below.
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

    NLL is the negative log-likelihood of an answer, or a pair's term of the contrastive loss; ℓ is
    the model's own training loss. Retention 0 gives the paper's NPO; otherwise it is the paper's
    variant with a retain loss. As β goes to 0, the gradient approaches that of gradient ascent. An
    answer's NLL is a sum over its tokens, so β is smaller for language models.
    """

    name: ClassVar[str] = "npo"
    summary: ClassVar[str] = "ascent that slows as a forget row becomes unlikely"
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
    # log σ(x) = −log(1 + e⁻ˣ), written so that a large −x does not overflow. Every row starts at
    # x = 0, where the gradients of `clamp` and `abs` would not add up to σ(0).
    return x.where(x < 0, 0.0) - x.where(x < 0, -x).exp().log1p()
