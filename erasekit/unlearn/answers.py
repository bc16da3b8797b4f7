"""A multimodal language model's answers to a batch of questions, as a method's loss takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Answers:
    """How likely n questions' right answers, of m tokens together, are to a model.

    Attributes:
        nll: negative log-likelihood of each answer, summed over its tokens, shape (n,).
        tokens: how many tokens each answer has, shape (n,).
        before: `nll` by the original model; None unless the method asks for it.
        divergences: KL from the original's distribution over the vocabulary to the model's, at
            each token, shape (m,); None unless the method asks for it.
    """

    nll: Tensor
    tokens: Tensor
    before: Tensor | None = None
    divergences: Tensor | None = None

    @property
    def loss(self) -> Tensor:
        """What a language model is trained with: the mean over all tokens, a scalar."""
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
