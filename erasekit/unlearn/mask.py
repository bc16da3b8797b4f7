"""Weight masks: weights outside the mask stay bit-identical.

Masking the gradient is not enough, because momentum and weight decay move weights whose
gradient is zero.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from erasekit.errors import RunError


class WeightMask:
    """Freezes the weights of a model outside a mask.

    Gradients are masked as soon as the backward pass has accumulated them, so that the gradient
    norm only counts weights that move. Call `begin` before the backward pass of a step, `hold`
    after the optimiser step, and `release` at the end.

    Args:
        model: the model to freeze.
        moves: bool tensors by parameter name, true where a weight may move. Parameters without
            a mask are frozen.
        method: name of the method, for messages.
        climbs_only: freeze in forget steps only; changes by retain steps persist.

    Raises:
        RunError: for an unknown name, a wrong shape or dtype, or a mask that is false everywhere.
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
                    f"{method}: its mask names '{name}', which is not a parameter of this model: "
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
        """Prepare for a step.

        Args:
            climbs: whether it is a forget step.
        """
        self._holds = climbs or not self._climbs_only
        if self._climbs_only and climbs:
            self._remember()

    def hold(self) -> None:
        """Restore weights outside the mask after a step."""
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
