"""A method's view beyond the rows of a batch: weights, gradients and validation scores.

It never includes the test split.
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
        adapter: the adapter of the erasure.
        names: names of the parameters that may move; by default those of `EraseSpec.moves`.

    Attributes:
        weights: parameters of the model being erased that may move, by name; access to any other
            raises a `UsageError`.
        original: all parameters of the original, by the same names; do not change them.
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
        """Mean over batches of the gradient of `loss`, by parameter name.

        Args:
            which: forget or retain rows; for a language model also text, the text-only retain
                rows.
            loss: function from a batch's rows under the current model to a scalar.
            batches: number of batches, drawn with the spec's seed; None for the default.
        """
        return self._mean(which, loss, batches, lambda gradient: gradient)

    def squared_gradient(
        self, which: Which, loss: Loss, batches: int | None = None
    ) -> dict[str, Tensor]:
        """Mean over batches of the squared gradient of `loss`; see `gradient`."""
        return self._mean(which, loss, batches, torch.square)

    def preserved(self, loss: Loss) -> dict[str, Tensor]:
        """Squared gradient of `loss` on everything to retain, by parameter name.

        For weights that text-only rows pass through, it includes these rows by their share.
        """
        found, share = self.squared_gradient("retain", loss), self._adapter.text_share
        names = [name for name in found if self._adapter.reads_text(name)]
        if share and names:
            told = self.squared_gradient("text", loss)
            for name in names:
                found[name] = (1 - share) * found[name] + share * told[name]
        return found

    def validation(self) -> dict[str, float]:
        """Recognition rates on validation: ``validation_forget`` and ``validation_retain``.

        Top-1 for a CLIP; accuracy on questions about pictures for a language model.
        """
        # All processes must see the same values, so that they take the same decisions.
        return processes.on_main(self._adapter.validation)

    def forgotten_texts(self) -> Tensor:
        """Normalised text features of the forgotten concepts by the current model, (n, d).

        One row per concept and forget language: the mean over its prompts, as in zero-shot
        classification. CLIP only.
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
            if not value.requires_grad:  # no row of this batch depends on a weight that may move
                continue
            found = torch.autograd.grad(
                value, parameters, allow_unused=True, materialize_grads=True
            )
            processes.average(found)
            for total, gradient in zip(totals, found, strict=True):
                total += of(gradient) / len(sampled)
        return dict(zip(self.weights, totals, strict=True))


class _Movable(dict):
    """Weights by name; a missing name raises an error that explains why."""

    def __init__(self, moves: str) -> None:
        super().__init__()
        self._moves = moves

    def __missing__(self, name: str) -> Tensor:
        raise UsageError(
            f"moves = {self._moves} holds '{name}', which this method changes: "
            "let it move, or choose another method"
        )
