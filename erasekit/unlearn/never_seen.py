"""Never seen: forget pairs become what pairs of unknown things are, and all else stays put.

A model that never saw a thing is not at odds with it. It gives its picture and its name some
similarity, well above none, since both lie near other things. That level is not a choice:
the original shows it on things that it never saw. Forgetting further than that is a trace of
its own, and costs what is near.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from erasekit.unlearn.losses import moved, weighted
from erasekit.unlearn.method import Features, Method, Prompts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class NeverSeen(Method):
    """L = forgetting · |s − s*| + naming · |n − level| + consistency · (‖Δ image‖² + ‖Δ text‖²).

    The first two run over forget pairs. s is the cosine of picture and caption; its target is
    s* = share · level + (1 − share) · s_o, s_o the original's: a scene in which one of two
    things must go keeps half of what it was. n is the cosine of a caption that names one
    forgotten concept alone with the original's feature of the same caption. That feature
    stands where the pictures of the concept lie, so that a name can be taken from them without
    one, as must be where the forget set holds scenes alone. The last term runs over retain
    pairs: Δ is how far a feature has moved from the original's. `level` is the original's
    cosine of pictures with their own names, for holdout concepts on validation (``holdout``),
    or of forget pictures with retained captions (``shuffled``), where nothing was held out.
    """

    name: ClassVar[str] = "never_seen"
    summary: ClassVar[str] = "forget pairs as similar as never-seen ones, other features kept"
    source: ClassVar[str] = "this kit's own"

    forgetting: float = 1.0
    naming: float = 1.0
    consistency: float = 10.0
    level: Literal["holdout", "shuffled"] = "holdout"

    needs_original: ClassVar[bool] = True
    needs_original_forget: ClassVar[bool] = True
    needs_never_seen: ClassVar[bool] = True
    needs_names: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None and prompts is not None and prompts.never_seen is not None
        level = prompts.never_seen if self.level == "holdout" else shuffled_level(forget, retain)
        return weighted(
            ("forgetting", self.forgetting, lambda: level_loss(forget, level)),
            ("naming", self.naming, lambda: naming_loss(forget, level)),
            ("consistency", self.consistency, lambda: moved(retain)),
        )


def level_loss(forget: Features, level: Tensor | float) -> Tensor:
    """Mean distance of the forget pairs' cosine from where it belongs, a scalar.

    Args:
        forget: with the original's features and `Features.forgotten_share`.
        level: the cosine of a pair of which everything must go.
    """
    assert forget.original_image is not None and forget.original_text is not None
    assert forget.forgotten_share is not None
    now = (forget.image_unit * forget.text_unit).sum(1)
    before = (forget.original_image * forget.original_text).sum(1)
    share = forget.forgotten_share
    return (now - share * level - (1 - share) * before).abs().mean()


def naming_loss(forget: Features, level: Tensor | float) -> Tensor:
    """Mean distance from `level` of each name's cosine with what it was, a scalar."""
    assert forget.original_name is not None
    return ((forget.name_unit * forget.original_name).sum(1) - level).abs().mean()


def shuffled_level(forget: Features, retain: Features) -> Tensor:
    """The original's mean cosine of forget pictures with retained captions, a scalar."""
    assert forget.original_image is not None and retain.original_text is not None
    return (forget.original_image @ retain.original_text.T).mean()
