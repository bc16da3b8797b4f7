"""Answers of a multimodal language model to a batch of questions, the input of a method's loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Answers:
    """Likelihoods of the right answers to n questions, with m answer tokens in total.

    Attributes:
        nll: negative log-likelihood of each answer, summed over its tokens, shape (n,).
        tokens: number of tokens of each answer, shape (n,).
        before: `nll` under the original model; None unless the method needs it.
        divergences: KL(original ‖ current) over the vocabulary at each token, shape (m,); None
            unless the method needs it.
    """

    nll: Tensor
    tokens: Tensor
    before: Tensor | None = None
    divergences: Tensor | None = None

    @property
    def loss(self) -> Tensor:
        """The language model's training loss: mean cross-entropy over all tokens, a scalar."""
        return self.nll.sum() / self.tokens.sum()

    @property
    def original_nll(self) -> Tensor:
        assert self.before is not None
        return self.before

    @property
    def divergence(self) -> Tensor:
        """The mean of `divergences`, a scalar."""
        assert self.divergences is not None
        return self.divergences.mean()
