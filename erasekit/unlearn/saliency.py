"""Weight masks from gradients, by parameter name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def largest_weights(gradient: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """True for the `share` of all weights whose gradient is largest in absolute value.

    At 0.5 the threshold is the median over all weights of the model. Weights of zero gradient
    are never selected. They can be more than half, such as embeddings of unused tokens; the
    median is then 0, and "at least the median" would select every weight.

    Args:
        gradient: gradients by parameter name.
        share: from 0 to 1.
    """
    import torch

    # On the CPU, because kthvalue has no deterministic kernel on a GPU.
    sizes = torch.cat([v.abs().flatten().cpu() for v in gradient.values()])
    count = round(share * len(sizes))
    if not count:
        return {name: value.new_zeros(value.shape).bool() for name, value in gradient.items()}
    threshold = float(sizes.kthvalue(len(sizes) - count + 1).values)
    return {k: (v.abs() >= threshold) & (v != 0) for k, v in gradient.items()}


def layers(tensors: dict[str, Tensor]) -> list[str]:
    """Names of matrices and kernels, without biases, gains, scales and embeddings."""
    return [k for k, v in tensors.items() if v.dim() > 1 and "embedding" not in k]


def largest_layers(gradient: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    """True for all of the `count` layers whose mean absolute gradient is largest."""
    by_size = sorted(layers(gradient), key=lambda k: float(gradient[k].abs().mean()), reverse=True)
    return {k: gradient[k].new_ones(gradient[k].shape).bool() for k in by_size[:count]}


def ratio_mask(
    forget: dict[str, Tensor], preserve: dict[str, Tensor], threshold: float = 1.0
) -> dict[str, Tensor]:
    """m = 1[(F_forget + ε) / (F_preserve + ε) ≥ threshold], ε = 1e-15.

    Args:
        forget, preserve: mean squared gradients by parameter name (`Look.squared_gradient`).
        threshold: minimum ratio of a weight's importance for the forget rows to the rest.

    Source: MMUnlearner, arXiv 2502.11051.
    """
    # In double precision, because 1e-15 is lost in most single-precision sums.
    return {
        k: (forget[k].double() + 1e-15) / (preserve[k].double() + 1e-15) >= threshold
        for k in forget
    }
