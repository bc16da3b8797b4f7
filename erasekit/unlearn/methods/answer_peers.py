"""MMUnlearner's peers for multimodal language models.

Their losses are those of their CLIP namesakes in `erasekit.unlearn`, with the model's
log-likelihood of the right answer where CLIP has its contrastive one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from erasekit.unlearn.answers import AnswerMethod, Answers

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FineTune(AnswerMethod):
    """min CE(retain): the control."""

    name: ClassVar[str] = "fine_tune"
    summary: ClassVar[str] = "train on with what must stay: the control"
    source: ClassVar[str] = "the control of every comparison"
    needs_forget: ClassVar[bool] = False

    def loss(self, forget: Answers | None, retain: Answers | None) -> dict[str, Tensor]:  # type: ignore[override]
        assert retain is not None
        return {"retention": retain.cross_entropy}


@dataclass(frozen=True)
class GradientAscent(AnswerMethod):
    """max CE(forget)."""

    name: ClassVar[str] = "gradient_ascent"
    summary: ClassVar[str] = "climb the loss of the forgotten answers, and look at nothing else"
    source: ClassVar[str] = "Yao et al., arXiv 2310.10683"
    needs_retain: ClassVar[bool] = False

    def loss(self, forget: Answers | None, retain: Answers | None) -> dict[str, Tensor]:  # type: ignore[override]
        assert forget is not None
        return {"forgetting": -forget.cross_entropy}


@dataclass(frozen=True)
class GradientDifference(AnswerMethod):
    """min −γ CE(forget) + CE(retain)."""

    name: ClassVar[str] = "gradient_difference"
    summary: ClassVar[str] = "climb on the forgotten, descend on the retained"
    source: ClassVar[str] = "Liu et al., CoLLAs 2022, arXiv 2203.12817"

    forgetting: float = 1.0

    def loss(self, forget: Answers | None, retain: Answers | None) -> dict[str, Tensor]:  # type: ignore[override]
        assert forget is not None and retain is not None
        return {
            "forgetting": -self.forgetting * forget.cross_entropy,
            "retention": retain.cross_entropy,
        }


@dataclass(frozen=True)
class KLMinimization(AnswerMethod):
    """min −γ CE(forget) + KL(original ‖ model) on the retained answers' tokens."""

    name: ClassVar[str] = "kl_minimization"
    summary: ClassVar[str] = "climb on the forgotten, keep the original's words on the retained"
    source: ClassVar[str] = "Nguyen et al., 2020; as in TOFU, arXiv 2401.06121"
    needs_original: ClassVar[bool] = True

    forgetting: float = 1.0

    def loss(self, forget: Answers | None, retain: Answers | None) -> dict[str, Tensor]:  # type: ignore[override]
        assert forget is not None and retain is not None
        now, before = retain.log_probability, retain.original_log_probability
        assert now is not None and before is not None
        return {
            "forgetting": -self.forgetting * forget.cross_entropy,
            "retention": (before.exp() * (before - now)).sum(1).mean(),
        }


@dataclass(frozen=True)
class NPO(AnswerMethod):
    """min −(2/β) log σ(−β (ℓ − ℓ_o)) on the forgotten answers, + retention · CE(retain).

    ℓ: log-likelihood of an answer; ℓ_o: the original's. The paper's form has no retention.
    """

    name: ClassVar[str] = "npo"
    summary: ClassVar[str] = "make the forgotten answers unpreferred, with a brake"
    source: ClassVar[str] = "Zhang et al., COLM 2024, arXiv 2404.05868"
    needs_original_forget: ClassVar[bool] = True

    beta: float = 0.1
    retention: float = 1.0

    def loss(self, forget: Answers | None, retain: Answers | None) -> dict[str, Tensor]:  # type: ignore[override]
        assert forget is not None and retain is not None
        before = forget.original_log_likelihood
        assert before is not None
        preferred = (self.beta * (forget.log_likelihood - before)).exp().log1p()
        return {
            "forgetting": 2 / self.beta * preferred.mean(),
            "retention": self.retention * retain.cross_entropy,
        }
