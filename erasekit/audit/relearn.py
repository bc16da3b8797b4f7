"""The core of each relearning attack: a copy learns from a few examples and is asked on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import torch
from torch import Tensor, nn

from erasekit.loop import run_loop


def relearn(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[int], dict[str, Tensor]],
    ask: Callable[[], np.ndarray],
    checkpoints: Collection[int],
) -> list[np.ndarray]:
    """What `ask` finds after each of the `checkpoints`; the last one is the last step.

    Args:
        model: a copy, which is changed.
        loss: the terms of a step.
        ask: whether the model is right about each picture.

    Raises:
        RunError: when a loss or gradient is not finite.
    """
    found: list[np.ndarray] = []

    def look(history: list[dict[str, float]]) -> bool:
        if len(history) in checkpoints:
            found.append(ask())
        return False

    run_loop(
        model,
        optimizer,
        loss,
        steps=max(checkpoints),
        label="relearning",
        stop=look,
        stop_every=1,
        progress=False,
    )
    return found
