"""The erasure task: forget set, retain set, and the pairs on which each is evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from erasekit.data.pairs import Pairs
from erasekit.data.worlds import Concept, PairsWorld
from erasekit.errors import UsageError


class ErasureTask:
    """A forget set and a retain set in a world.

    The forget set is every training pair, single or scene, that contains a forgotten
    concept and has its caption in one of `forget_languages`. The retain set is every
    training pair without any forgotten concept. If `forget_languages` is restricted, pairs
    with a forgotten concept in another language are in neither set: retaining them would
    teach the association again.

    Args:
        world: the world that provides the pairs and resolves names.
        forget: concepts, groups or attributes (``fruit``, ``red apple``, ``colour=red``).
        forget_languages: languages of the captions in the forget set; all by default.
        gone: names erased by earlier requests: neither forgotten again nor retained.
        scenes_only: whether the forget set holds only scenes; singles with a forgotten
            concept are then in neither set.

    Raises:
        UsageError: for unknown names, and when nothing is left to forget or to retain.
    """

    def __init__(
        self,
        world: PairsWorld,
        forget: str | Sequence[str],
        forget_languages: Sequence[str] | None = None,
        *,
        gone: Sequence[str] = (),
        scenes_only: bool = False,
    ) -> None:
        self.world = world
        self.forgotten, self.retained = world.choose(forget, gone)
        out = {*self.forgotten, *self.retained}
        self.gone = tuple(index for index in world.trained if index not in out) if gone else ()
        self.scenes_only = scenes_only
        self.forget_languages = world.spec.pick_languages(forget_languages)

    @property
    def named(self) -> bool:
        """Whether pictures have names, so that zero-shot classification is possible."""
        return True

    @property
    def pictures(self) -> bool:
        """Whether the request lists individual pictures, which are then evaluated as such."""
        return False

    @property
    def forgotten_concepts(self) -> list[Concept]:
        return [self.world.concept(i) for i in self.forgotten]

    def touches(self, concepts: tuple[int, ...]) -> bool:
        """Whether any of these concepts must be forgotten."""
        return not set(self.forgotten).isdisjoint(concepts)

    def forget_part(self, pairs: Pairs) -> Pairs:
        """Return the pairs of any split that match the forget request."""
        languages = set(self.forget_languages)
        return pairs.take(
            [
                i
                for i, concepts in enumerate(pairs.concepts)
                if self.touches(concepts)
                and pairs.languages[i] in languages
                and not (self.scenes_only and len(concepts) == 1)
            ]
        )

    def judged(self, split: str) -> Pairs:
        """Return the pairs on which models are evaluated in a split."""
        return self.world.pairs(split)

    def members(self, split: str) -> tuple[Pairs, Pairs]:
        """Return forgotten training pairs of the original, and similar pairs it never saw."""
        return self.forget, self.forget_part(self.world.pairs(split))

    @cached_property
    def forget(self) -> Pairs:
        """The forget set."""
        chosen = self.forget_part(self.world.pairs("train"))
        if not chosen:
            raise UsageError(
                "the forget set is empty: no training caption in "
                f"{', '.join(self.forget_languages)} mentions "
                f"{', '.join(c.name for c in self.forgotten_concepts)}"
            )
        return chosen

    @cached_property
    def retain(self) -> Pairs:
        """The retain set, which is also the oracle's training list."""
        gone = set(self.gone)
        return self.world.pairs("train").where(
            lambda concepts: not self.touches(concepts) and gone.isdisjoint(concepts)
        )

    def describe(self) -> dict:
        """Return the request as JSON-serialisable values."""
        further: dict = {}
        if self.gone:
            further["gone"] = [self.world.concept(i).name for i in self.gone]
        if self.scenes_only:
            further["scenes_only"] = True
        return {
            **further,
            "data": "openmoji",
            "forget": [c.name for c in self.forgotten_concepts],
            "forget_languages": list(self.forget_languages),
            "forget_pairs": len(self.forget),
            "retain_pairs": len(self.retain),
            "world": self.world.spec.as_dict(),
        }
