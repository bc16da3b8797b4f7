"""Muon, an optimiser that needs fewer steps than AdamW to train a small CLIP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

#: Muon's learning rate, in units of AdamW's (0.02 and 0.002 in the default recipe).
RATE = 10.0
MOMENTUM = 0.95
#: Coefficients of the quintic iteration that makes a matrix nearly orthogonal, and its length.
COEFFICIENTS, ITERATIONS = (3.4445, -4.7750, 2.0315), 5


class Muon(torch.optim.AdamW):
    """Muon for the parameter groups with ``muon=True``, AdamW for all others.

    A step of Muon moves a weight along the orthogonalised momentum of its gradient, so that all
    directions of a matrix change equally fast. Filters count as matrices with one row for each
    output channel. All groups share one learning rate, which Muon multiplies by `RATE`.

    `torch.optim.Muon` is the same for matrices, but it takes no filters and orthogonalises in
    bfloat16, which is twenty to sixty times slower on a processor without bfloat16 instructions.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            if not group.get("muon"):
                continue
            rate = RATE * group["lr"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:  # AdamW looks for a step count when it loads a checkpoint
                    state.update(step=torch.zeros(()), moment=torch.zeros_like(weight))
                moment = state["moment"]
                moment.lerp_(weight.grad, 1 - MOMENTUM)
                update = orthogonalise(weight.grad.lerp(moment, MOMENTUM).flatten(1))
                rows, columns = update.shape
                weight.mul_(1 - rate * group["weight_decay"])
                scale = max(1.0, rows / columns) ** 0.5
                weight.sub_(update.view_as(weight), alpha=rate * scale)
                weight.grad = None  # leaves this weight out of AdamW's step
        super().step()
        return loss


def orthogonalise(matrix: Tensor) -> Tensor:
    """Nearly the closest orthogonal matrix: all singular values end between about 0.7 and 1.2.

    Args:
        matrix: shape (rows, columns), in float32.

    Source: Jordan et al. 2024, Newton-Schulz iteration with a quintic polynomial.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    a, b, c = COEFFICIENTS
    result = wide / wide.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = result @ result.T
        result = torch.addmm(result, torch.addmm(gram, gram, gram, beta=b, alpha=c), result, beta=a)
    return result if wide is matrix else result.T
