"""CLIPErase: forgetting, retention and consistency losses, minimised together.

Source: Yang et al., "CLIPErase: Efficient Unlearning of Visual-Textual Associations
in CLIP", ACL 2025 (arXiv 2410.23330). The equations are taken from secondary notes
on the paper; details that the notes leave open are options.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from erasekit.unlearn.losses import contrastive, kl_divergence, weighted
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor

Product = Literal["cosine", "dot"]
Unimodal = Literal["batch", "prompts", "features"]


def forgetting_loss(forget: Features, product: Product = "cosine", scaled: bool = False) -> Tensor:
    """L_FM = 1/N Σ f_img(x_i) · f_txt(t_i) over the forget pairs, a scalar to minimise.

    The loss uses matched pairs only, without negatives or the original model. It does
    not define where to stop; retention and consistency balance it.

    Args:
        forget: features of the forget pairs.
        product: ``cosine`` for normalised features, ``dot`` for the towers' raw output.
        scaled: whether the logit scale multiplies the product.
    """
    if product == "cosine":
        similarity = (forget.image_unit * forget.text_unit).sum(1)
    else:
        similarity = (forget.image * forget.text).sum(1)
    if scaled:
        similarity = similarity * forget.scale
    return similarity.mean()


def retention_loss(retain: Features) -> Tensor:
    """L_RM: CLIP's symmetric contrastive loss over the retain pairs, a scalar."""
    return contrastive(retain)


def consistency_loss(
    retain: Features,
    prompts: Prompts | None = None,
    unimodal: Unimodal = "prompts",
    temperature: float = 0.1,
) -> Tensor:
    """L_CM = KL(p_o^img ‖ p_u^img) + KL(p_o^txt ‖ p_u^txt) over the retain pairs, a scalar.

    p is a distribution within one modality. The notes do not say over what, so it is an option:
    ``prompts`` is the softmax of the similarities to the original's prompts of the retained
    concepts (the default, because it retained most on validation), ``batch`` of the similarities
    to the other pairs of the batch, and ``features`` of the features themselves.

    Args:
        retain: features of the retain pairs, including the original's.
        prompts: class prompts, for ``prompts`` only.
        unimodal: the logits of p: ``prompts``, ``batch`` or ``features``.
        temperature: softmax temperature.
    """
    assert retain.original_image is not None and retain.original_text is not None
    total = kl_divergence(
        _unimodal_logits(retain.original_image, prompts, unimodal) / temperature,
        _unimodal_logits(retain.image_unit, prompts, unimodal) / temperature,
    )
    return total + kl_divergence(
        _unimodal_logits(retain.original_text, prompts, unimodal) / temperature,
        _unimodal_logits(retain.text_unit, prompts, unimodal) / temperature,
    )


def _unimodal_logits(features: Tensor, prompts: Prompts | None, unimodal: Unimodal) -> Tensor:
    if unimodal == "features":
        return features
    if unimodal == "prompts":
        assert prompts is not None
        return features @ prompts.text.T
    # A pair's similarity to itself is 1 in every model and carries no information.
    n = len(features)
    others = features.new_ones(n, n).fill_diagonal_(0).bool()
    return (features @ features.T)[others].view(n, n - 1)


@dataclass(frozen=True)
class CLIPErase(Method):
    """L = retention · L_RM + forgetting · L_FM + consistency · L_CM."""

    name: ClassVar[str] = "cliperase"
    summary: ClassVar[str] = "forgetting, retention and consistency, weights 3, 1, 3"
    source: ClassVar[str] = "Yang et al., ACL 2025, arXiv 2410.23330"

    forgetting: float = 3.0
    retention: float = 1.0
    consistency: float = 3.0
    product: Product = "cosine"
    scaled: bool = False
    unimodal: Unimodal = "prompts"
    temperature: float = 0.1

    needs_original: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return weighted(
            (
                "forgetting",
                self.forgetting,
                lambda: forgetting_loss(forget, self.product, self.scaled),
            ),
            ("retention", self.retention, lambda: retention_loss(retain)),
            (
                "consistency",
                self.consistency,
                lambda: consistency_loss(retain, prompts, self.unimodal, self.temperature),
            ),
        )
