"""Fine-tuning on the retain set alone: the control.

It tells what plain further training does, so that a method's gain on the retain set
is not mistaken for the method's merit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.method import Method, Prompts, Rows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FineTune(Method):
    """L = the model's own training loss on retain: θ − η∇L_r."""

    name: ClassVar[str] = "fine_tune"
    summary: ClassVar[str] = "further training on the retain set only: the control"
    source: ClassVar[str] = "the customary control, e.g. Warnecke et al. 2021"

    kinds: ClassVar[tuple[str, ...]] = ("clip", "language")
    needs_forget: ClassVar[bool] = False

    def loss(self, forget: Rows | None, retain: Rows, prompts: Prompts | None) -> dict[str, Tensor]:
        return {"retention": retain.loss}
