"""Gradient ascent: climb the training loss on the forget set, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.method import Method, Prompts, Rows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GradientAscent(Method):
    """L = −(the model's own training loss on forget): θ + η∇L_f.

    The loss has no ceiling, and nothing holds the rest: it ends in collapse if it goes on.
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
