"""What a method may look at beyond a batch's rows: weights, gradients, validation.

Never the test split, on which nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from erasekit import processes
from erasekit.errors import UsageError
from erasekit.unlearn.adapter import Adapter, Which
from erasekit.unlearn.moves import moving_names, parse_moves

Loss = Callable[[Any], Tensor]


class Look:
    """The model being erased and its task, as `Method.mask` and `Method.finish` see them.

    Args:
        adapter: of the erasure.
        names: of the parameters that may move; by default those that `EraseSpec.moves` names.

    Attributes:
        weights: the parameters of the model being erased that may move, by name; to ask for
            another is a `UsageError`.
        original: all of the original's parameters, by the same names; not to be changed.
    """

    def __init__(self, adapter: Adapter, names: Iterable[str] | None = None) -> None:
        self._adapter = adapter
        moves = adapter.spec.moves
        parameters = dict(adapter.erased.model.named_parameters())
        self.weights: dict[str, Tensor] = _Movable(moves)
        if names is None:
            names = moving_names(parameters, parse_moves(moves), adapter.parts)
        for name in names:
            self.weights[name] = parameters[name]
        self.original = {k: v.detach() for k, v in adapter.original.model.named_parameters()}

    def gradient(self, which: Which, loss: Loss, batches: int | None = None) -> dict[str, Tensor]:
        """The mean over batches of the gradient of `loss`, by parameter name.

        Args:
            which: forget or retain rows; of a language model also text, the retain rows in
                words alone.
            loss: of a batch's rows by the model as it is now, a scalar.
            batches: how many, drawn by the seed of the spec.
        """
        return self._mean(which, loss, batches, lambda gradient: gradient)

    def squared_gradient(
        self, which: Which, loss: Loss, batches: int | None = None
    ) -> dict[str, Tensor]:
        """The mean over batches of the squared gradient of `loss`; see `gradient`."""
        return self._mean(which, loss, batches, torch.square)

    def preserved(self, loss: Loss) -> dict[str, Tensor]:
        """The squared gradient of `loss` on all that must stay, by parameter name.

        For weights that rows in words alone pass through, these count as many rows as they are.
        """
        found, share = self.squared_gradient("retain", loss), self._adapter.text_share
        names = [name for name in found if self._adapter.reads_text(name)]
        if share and names:
            told = self.squared_gradient("text", loss)
            for name in names:
                found[name] = (1 - share) * found[name] + share * told[name]
        return found

    def validation(self) -> dict[str, float]:
        """What is still recognised on validation: ``validation_forget``, ``validation_retain``.

        Of a CLIP, top-1; of a language model, the share of right answers about pictures.
        """
        # What is decided by it must be decided alike in all processes.
        return processes.on_main(self._adapter.validation)

    def forgotten_texts(self) -> Tensor:
        """Unit text features of the forgotten concepts by the model as it is now, (n, d).

        One row a concept and forget language: the mean over its prompts, which is what
        zero-shot classification compares a picture with. Of a CLIP alone.
        """
        return self._adapter.forgotten_texts()

    def _mean(
        self, which: Which, loss: Loss, batches: int | None, of: Callable[[Tensor], Tensor]
    ) -> dict[str, Tensor]:
        parameters = list(self.weights.values())
        totals = [torch.zeros_like(p) for p in parameters]
        sampled = self._adapter.sample(which, batches)
        for make in sampled:
            with torch.enable_grad():
                value = loss(make())
            if not value.requires_grad:  # no row of this batch reaches a weight that may move
                continue
            found = torch.autograd.grad(
                value, parameters, allow_unused=True, materialize_grads=True
            )
            processes.average(found)
            for total, gradient in zip(totals, found, strict=True):
                total += of(gradient) / len(sampled)
        return dict(zip(self.weights, totals, strict=True))


class _Movable(dict):
    """Weights by name, which say why another is not among them."""

    def __init__(self, moves: str) -> None:
        super().__init__()
        self._moves = moves

    def __missing__(self, name: str) -> Tensor:
        raise UsageError(
            f"moves = {self._moves} holds '{name}', which this method changes: "
            "let it move, or choose another method"
        )
