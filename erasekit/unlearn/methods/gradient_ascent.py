"""Gradient ascent on the training loss of the forget set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.method import Method, Prompts, Rows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GradientAscent(Method):
    """L = −ℓ(forget), ℓ the model's own training loss.

    The loss is unbounded and does not protect the retain set, so long runs collapse.
    """

    name: ClassVar[str] = "gradient_ascent"
    summary: ClassVar[str] = "ascent on the forget set's training loss alone"
    source: ClassVar[str] = (
        "Golatkar et al. 2020, arXiv 1911.04933 (NegGrad); "
        "of language models Yao et al., arXiv 2310.10683"
    )

    kinds: ClassVar[tuple[str, ...]] = ("clip", "language")
    needs_retain: ClassVar[bool] = False
    contrasts_forget: ClassVar[bool] = True

    def loss(
        self, forget: Rows | None, retain: Rows | None, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None
        return {"forgetting": -forget.loss}
