"""Core of the relearning attacks: train a copy on a few examples and measure at checkpoints."""

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
    """Train `model` and return the result of `ask` at each of the `checkpoints`.

    The last checkpoint is the last step.

    Args:
        model: a copy of the model, changed in place.
        loss: returns the loss terms of a step.
        ask: returns whether the model is right about each picture.

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
