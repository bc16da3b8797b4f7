"""The erasure task: what must go, what must stay, and by which pairs each is judged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from erasekit.data.concepts import Concept, match_concepts
from erasekit.data.pairs import Pairs
from erasekit.data.world import World
from erasekit.errors import UsageError

#: A world must keep this many concepts: fewer have no neighbours to speak of.
FEWEST_RETAINED = 4


class ErasureTask:
    """A forget set and a retain set in a world.

    The forget set is every training pair, single or scene, that contains a forgotten
    concept and has its caption in one of `forget_languages`. The retain set is every
    training pair without any forgotten concept. With `forget_languages` narrowed, the
    pairs that tell of a forgotten concept in another language are in neither: to
    retain them would teach the association again.

    Args:
        world: the closed world.
        forget: concepts, groups or attributes (``fruit``, ``red apple``, ``colour=red``).
        forget_languages: languages of the captions in the forget set; all by default.

    Raises:
        UsageError: for unknown names, and when nothing is left to forget or to retain.
    """

    def __init__(
        self,
        world: World,
        forget: str | Sequence[str],
        forget_languages: Sequence[str] | None = None,
    ) -> None:
        self.world = world
        trained = [world.concept(i) for i in world.trained]
        self.forgotten: tuple[int, ...] = tuple(match_concepts(trained, forget))
        self.retained: tuple[int, ...] = tuple(
            i for i in world.trained if i not in set(self.forgotten)
        )
        if len(self.retained) < FEWEST_RETAINED:
            raise UsageError(
                f"forget = {forget} leaves {len(self.retained)} of {len(world.trained)} concepts: "
                f"at least {FEWEST_RETAINED} must stay"
            )
        self.forget_languages = tuple(forget_languages or world.spec.languages)
        for language in self.forget_languages:
            if language not in world.spec.languages:
                raise UsageError(
                    f"forget language '{language}' is not in this world: "
                    f"choose from {', '.join(world.spec.languages)}"
                )

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
                if self.touches(concepts) and pairs.languages[i] in languages
            ]
        )

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
        return self.world.pairs("train").where(lambda concepts: not self.touches(concepts))

    def describe(self) -> dict:
        """What was asked for, in words and numbers that JSON can hold."""
        return {
            "data": "openmoji",
            "forget": [c.name for c in self.forgotten_concepts],
            "forget_languages": list(self.forget_languages),
            "forget_pairs": len(self.forget),
            "retain_pairs": len(self.retain),
            "world": self.world.spec.as_dict(),
        }
