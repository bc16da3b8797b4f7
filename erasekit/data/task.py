"""The erasure task: what must go, what must stay, and by which pairs each is judged."""

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
    training pair without any forgotten concept. With `forget_languages` narrowed, the
    pairs that tell of a forgotten concept in another language are in neither: to
    retain them would teach the association again.

    Args:
        world: gives the pairs, and knows what the names mean.
        forget: concepts, groups or attributes (``fruit``, ``red apple``, ``colour=red``).
        forget_languages: languages of the captions in the forget set; all by default.
        gone: what earlier requests took: neither forgotten again nor retained.
        scenes_only: the forget set holds scenes alone; a single that shows a forgotten
            concept is in neither set.

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
        """Whether pictures have names, so that a model can be asked for them."""
        return True

    @property
    def pictures(self) -> bool:
        """Whether pictures were asked for one by one, and are judged so."""
        return False

    @property
    def forgotten_concepts(self) -> list[Concept]:
        return [self.world.concept(i) for i in self.forgotten]

    def touches(self, concepts: tuple[int, ...]) -> bool:
        """Whether any of these concepts must be forgotten."""
        return not set(self.forgotten).isdisjoint(concepts)

    def forget_part(self, pairs: Pairs) -> Pairs:
        """The pairs of any split that are of the forget set's kind."""
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
        """The pairs by which models are judged on a split."""
        return self.world.pairs(split)

    def members(self, split: str) -> tuple[Pairs, Pairs]:
        """Forgotten pairs that the original was trained on, and pairs like them it never saw."""
        return self.forget, self.forget_part(self.world.pairs(split))

    @cached_property
    def forget(self) -> Pairs:
        """The forget set."""
        chosen = self.forget_part(self.world.pairs("train"))
        if not chosen:
            raise UsageError(
                "the forget set is empty: no training caption tells of "
                f"{', '.join(c.name for c in self.forgotten_concepts)} "
                f"in {', '.join(self.forget_languages)}"
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
        """What was asked for, in words and numbers that JSON can hold."""
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
