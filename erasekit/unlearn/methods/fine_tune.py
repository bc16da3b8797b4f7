"""Fine-tuning on the retain set only: the control.

It measures the effect of further training, so that this is not attributed to a method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.method import Method, Prompts, Rows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FineTune(Method):
    """L = ℓ(retain), ℓ the model's own training loss."""

    name: ClassVar[str] = "fine_tune"
    summary: ClassVar[str] = "further training on the retain set only: the control"
    source: ClassVar[str] = "the customary control, e.g. Warnecke et al. 2021"

    kinds: ClassVar[tuple[str, ...]] = ("clip", "language")
    needs_forget: ClassVar[bool] = False

    def loss(self, forget: Rows | None, retain: Rows, prompts: Prompts | None) -> dict[str, Tensor]:
        return {"retention": retain.loss}
