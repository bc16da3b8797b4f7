"""What an unlearning method of a multimodal language model is: options, and a loss of answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.unlearn.answer_look import AnswerLook


@dataclass(frozen=True)
class Answers:
    """What a model makes of n questions' right answers, of m tokens together.

    Attributes:
        log_likelihood: of each answer, summed over its tokens, shape (n,).
        tokens: how many tokens each has, shape (n,).
        original_log_likelihood: by the original, (n,); None unless the method asks for it.
        log_probability, original_log_probability: over the vocabulary at each token, (m, v);
            None unless the method asks for them.
    """

    log_likelihood: Tensor
    tokens: Tensor
    original_log_likelihood: Tensor | None = None
    log_probability: Tensor | None = None
    original_log_probability: Tensor | None = None

    @property
    def cross_entropy(self) -> Tensor:
        """Mean over all tokens, the loss that language models learn by."""
        return -self.log_likelihood.sum() / self.tokens.sum()


class AnswerMethod(Method):
    """Base of the methods for multimodal language models.

    A subclass returns from `loss` its terms with their weights applied, as a CLIP's method does.
    """

    #: Whether the original's log-likelihood of the forget answers is needed.
    needs_original_forget: ClassVar[bool] = False
    #: Whether probabilities over the vocabulary are needed on the retain set, of both models.
    needs_original: ClassVar[bool] = False
    #: Whether it looks at what must stay at all.
    needs_retain: ClassVar[bool] = True

    def loss(  # type: ignore[override]
        self, forget: Answers | None, retain: Answers | None
    ) -> dict[str, Tensor]:
        raise NotImplementedError

    def turns(self, forget: int, retain: int) -> int:
        """How many retain steps follow each forget step; 0: both are in every step.

        Args:
            forget, retain: visual questions in each list.
        """
        return 0

    def mask(self, look: AnswerLook) -> dict[str, Tensor] | None:  # type: ignore[override]
        """By parameter name, true where a weight may move in a forget step; None: all may."""
        return None

    def masks_retain(self) -> bool:
        """Whether the mask holds in retain steps as well."""
        return False
