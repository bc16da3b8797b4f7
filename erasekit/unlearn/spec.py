"""How an erasure is run, whatever the method; without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from erasekit.errors import UsageError


@dataclass(frozen=True)
class EraseSpec:
    """How an erasure is run, whatever the method.

    Attributes:
        steps: at most; `stop_at` may end it earlier.
        forget_batch, retain_batch: pairs of each set in a step.
        learning_rate: of Adam, betas (0.9, 0.98) as CLIPErase reports; it falls to zero
            along a cosine, so that the retained settle once the forgotten are gone.
        stop_at: stop as soon as the validation top-1 on the forgotten concepts is
            this or less at two checks in a row; below 0 never stops.
        check_every: steps between two looks at the validation split.
        seed: of the order of the pairs.
        precision: auto, fp32 or bf16.
    """

    steps: int = 70
    forget_batch: int = 12
    retain_batch: int = 84
    learning_rate: float = 1e-3
    stop_at: float = -1.0
    check_every: int = 10
    seed: int = 0
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "forget_batch", "retain_batch", "learning_rate", "check_every"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} = {getattr(self, name)}: must be above 0, and finite")

    def for_epochs(self, epochs: float, pairs: int) -> EraseSpec:
        """The same for so many epochs.

        Looks at the validation split, and with them checkpoints, grow as rare as keeps them a
        hundredth of a long run.

        Args:
            epochs: times that the retain set is gone through, a fraction too.
            pairs: of the retain set.
        """
        steps = max(1, math.ceil(epochs * pairs / self.retain_batch))
        return replace(self, steps=steps, check_every=max(self.check_every, steps // 100))
