"""Never seen: forget pairs become what pairs of unknown things are, and all else stays put.

A model that never saw a thing is not at odds with it. It gives its picture and its name some
similarity, well above none, since both lie near other things. That level is not a choice:
the original shows it on things that it never saw. Forgetting further than that is a trace of
its own, and costs what is near.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from erasekit.errors import UsageError
from erasekit.unlearn.losses import moved, weighted
from erasekit.unlearn.method import Features, Method, Prompts, Unseen

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class NeverSeen(Method):
    """L = forgetting · |s − s*| + naming · |n − level| + consistency · (‖Δ image‖² + ‖Δ text‖²).

    The first two run over forget pairs. s is the cosine of picture and caption; its target is
    s* = share · level + (1 − share) · scenes: a scene of which a share must go ends between
    what is unknown and an unseen scene of known things. n is the cosine of a caption that names
    one forgotten concept alone with the original's feature of the same caption. That feature
    stands where the pictures of the concept lie, so that a name can be taken from them without
    one, as must be where the forget set holds scenes alone. The last term runs over retain
    pairs: Δ is how far a feature has moved from the original's.

    Both levels are read from the original on validation, see `Unseen`. Where nothing was held
    out, `level` can be that of retained pictures with captions that are not theirs (``shuffled``).
    """

    name: ClassVar[str] = "never_seen"
    summary: ClassVar[str] = "forget pairs as similar as never-seen ones, other features kept"
    source: ClassVar[str] = "this kit's own"

    forgetting: float = 1.0
    naming: float = 1.0
    consistency: float = 10.0
    level: Literal["holdout", "shuffled"] = "holdout"

    needs_original: ClassVar[bool] = True
    needs_unseen: ClassVar[bool] = True
    needs_names: ClassVar[bool] = True

    def loss(
        self, forget: Features | None, retain: Features, prompts: Prompts | None
    ) -> dict[str, Tensor]:
        assert forget is not None and prompts is not None and prompts.unseen is not None
        unseen = prompts.unseen
        level = shuffled_level(retain) if self.level == "shuffled" else _holdout_level(unseen)
        scenes = level if unseen.scenes is None else unseen.scenes
        return weighted(
            ("forgetting", self.forgetting, lambda: level_loss(forget, level, scenes)),
            ("naming", self.naming, lambda: naming_loss(forget, level)),
            ("consistency", self.consistency, lambda: moved(retain)),
        )


def level_loss(forget: Features, level: Tensor | float, scenes: Tensor | float) -> Tensor:
    """Mean distance of the forget pairs' cosine from where it belongs, a scalar.

    Args:
        forget: with `Features.forgotten_share`.
        level: the cosine of a pair of which everything must go.
        scenes: that of an unseen scene of which nothing must go.
    """
    share = forget.forgotten_share
    assert share is not None
    now = (forget.image_unit * forget.text_unit).sum(1)
    return (now - share * level - (1 - share) * scenes).abs().mean()


def naming_loss(forget: Features, level: Tensor | float) -> Tensor:
    """Mean distance from `level` of each name's cosine with what it was, a scalar."""
    assert forget.original_name is not None
    return ((forget.name_unit * forget.original_name).sum(1) - level).abs().mean()


def shuffled_level(retain: Features) -> Tensor:
    """The original's mean cosine of retained pictures with captions of others, a scalar."""
    assert retain.original_image is not None and retain.original_text is not None
    all_with_all = retain.original_image @ retain.original_text.T
    n = len(all_with_all)
    return (all_with_all.sum() - all_with_all.diagonal().sum()) / (n * (n - 1))


def _holdout_level(unseen: Unseen) -> float:
    if unseen.concepts is None:
        raise UsageError(
            "never_seen: nothing was held out of this world to read the level from: "
            "set level=shuffled"
        )
    return unseen.concepts
