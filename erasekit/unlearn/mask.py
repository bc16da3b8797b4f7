"""A mask on the weights: where it is false, nothing moves, bit for bit.

A masked gradient alone is not enough: momentum and weight decay move weights whose
gradient is zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from erasekit.errors import RunError


class WeightMask:
    """Holds the masked weights of a model where they are.

    Gradients are masked as soon as a backward pass has gathered them, so that their norm
    is that of what moves. Call `begin` before a step's backward pass, `hold` after each step of
    an optimiser, `release` at the end.

    Args:
        model: whose weights it holds.
        moves: by parameter name, a bool tensor of its shape: true where the weight may
            move. A parameter without one stays whole.
        method: for messages.
        climbs_only: hold in forget steps alone. What a retain step moved stays moved.

    Raises:
        RunError: for a name or a shape that the model does not have, and when nothing moves.
    """

    def __init__(
        self,
        model: nn.Module,
        moves: Mapping[str, Tensor],
        method: str,
        *,
        climbs_only: bool = False,
    ) -> None:
        parameters = dict(model.named_parameters())
        for name, mask in moves.items():
            if name not in parameters:
                raise RunError(
                    f"{method}: its mask names '{name}', which is no parameter of this model: "
                    "take the names from `Look.weights`"
                )
            shape = tuple(parameters[name].shape)
            if mask.dtype != torch.bool or tuple(mask.shape) != shape:
                raise RunError(
                    f"{method}: its mask of '{name}' is {mask.dtype} of shape "
                    f"{tuple(mask.shape)}: give torch.bool of shape {shape}"
                )
        self.moving = sum(int(mask.sum()) for mask in moves.values())
        if not self.moving:
            raise RunError(
                f"{method}: its mask lets no weight move: raise the share or the number of layers "
                "that may, or lower the threshold"
            )
        self._model, self._climbs_only, self._holds = model, climbs_only, True
        self._masked: list[tuple[nn.Parameter, Tensor]] = []
        self._hooks = []
        for name, parameter in parameters.items():
            mask = moves.get(name)
            if not climbs_only and (mask is None or not mask.any()):
                parameter.requires_grad_(False)
            elif parameter.requires_grad and (mask is None or not mask.all()):
                mask = parameter.new_zeros(()).bool() if mask is None else mask
                mask = mask.to(parameter.device)
                self._masked.append((parameter, mask))
                self._hooks.append(parameter.register_post_accumulate_grad_hook(self._hook(mask)))
        self._before: list[Tensor] = []
        self._remember()

    def begin(self, *, climbs: bool) -> None:
        """Before a step.

        Args:
            climbs: whether it is a forget step.
        """
        self._holds = climbs or not self._climbs_only
        if self._climbs_only and climbs:
            self._remember()

    def hold(self) -> None:
        """After a step: put back what it moved against the mask."""
        if self._holds:
            with torch.no_grad():
                for (parameter, mask), before in zip(self._masked, self._before, strict=True):
                    parameter.copy_(parameter.where(mask, before))

    def release(self) -> None:
        """Let every weight of the model move again."""
        for hook in self._hooks:
            hook.remove()
        self._model.requires_grad_(True)

    def _remember(self) -> None:
        self._before = [parameter.detach().clone() for parameter, _ in self._masked]

    def _hook(self, mask: Tensor):
        def masked(parameter: Tensor) -> None:
            if self._holds and parameter.grad is not None:
                parameter.grad.mul_(mask)

        return masked
