"""Never seen: move forget pairs to the similarity of unseen pairs, and keep all other features.

A model that never saw a concept still gives its pictures and its name embeddings near related
concepts, so their similarity is not zero. The original shows this level on holdout concepts.
Similarity below it is over-forgetting: it is itself evidence, and it damages nearby concepts.
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

    The first two terms run over forget pairs. s is the cosine of picture and caption. Its target
    s* = share · level + (1 − share) · scenes interpolates between an unseen concept (`level`) and
    an unseen scene of known concepts, by the share of the pair's concepts that are forgotten. n
    is the cosine of a caption that names only one forgotten concept with the original's feature
    of that caption. This feature stands in for pictures of the concept alone, so that the name is
    also erased if the forget set has only scenes. The last term runs over retain pairs; Δ is the
    change of a feature from the original's.

    Both levels are measured on the original, on validation; see `Unseen`. If there are no holdout
    concepts, `level` can be that of retained pictures with other captions (``shuffled``).
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
    """Mean absolute difference of the forget pairs' cosine from its target, a scalar.

    Args:
        forget: features of the forget pairs, with `Features.forgotten_share`.
        level: target cosine of a pair of forgotten concepts only.
        scenes: cosine of an unseen scene of retained concepts only.
    """
    share = forget.forgotten_share
    assert share is not None
    now = (forget.image_unit * forget.text_unit).sum(1)
    return (now - share * level - (1 - share) * scenes).abs().mean()


def naming_loss(forget: Features, level: Tensor | float) -> Tensor:
    """Mean absolute difference from `level` of each name's cosine with its original feature."""
    assert forget.original_name is not None
    return ((forget.name_unit * forget.original_name).sum(1) - level).abs().mean()


def shuffled_level(retain: Features) -> Tensor:
    """The original's mean cosine of retained pictures with other pairs' captions, a scalar."""
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
