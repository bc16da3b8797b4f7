"""What a world can do is asked of the world, not of its class."""

from __future__ import annotations

import pytest

from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.world import World
from erasekit.data.worlds import DrawingWorld, drawing
from erasekit.errors import UsageError


class OnlyPairs:
    """A world that gives pairs and has nothing to draw with."""

    concepts, trained, holdout, spec = (), (), (), None
    concept = pairs = captions_in = choose = None


def test_a_world_is_asked_whether_it_can_draw() -> None:
    world = World(WorldSpec(concepts=8))
    assert drawing(world, "the audit") is world and isinstance(world, DrawingWorld)
    with pytest.raises(UsageError, match=r"^the audit draws its own pictures"):
        drawing(OnlyPairs(), "the audit")  # type: ignore[arg-type]
