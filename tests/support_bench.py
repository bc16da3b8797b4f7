"""The benchmark made tiny, in a test and in the workers that it starts."""

from __future__ import annotations

from typing import Any

import pytest
from support_tiny import TINY

from erasekit.leaderboard import clip_bench, plan
from erasekit.leaderboard.plan import CLIP, Task
from erasekit.profiles import PROFILES

METHODS = ("null_space", "gradient_difference")
SPACE = {
    "null_space": ({"options": {"strength": 0.5}}, {"options": {"strength": 1.0}}),
    "gradient_difference": ({"options": {}, "steps": 2}, {"options": {}, "steps": 3}),
}
TASKS = {
    "one": Task("one", "one concept", ("penguin",)),
    "two": Task("two", "one after another", ("penguin", "red apple")),
    "inside": Task("inside", "in scenes", ("penguin",), scenes_only=True),
}


def make_tiny(patch: pytest.MonkeyPatch) -> None:
    """Make the smoke profile tiny, with the search space and the tasks of this file."""
    small = {k: v for k, v in TINY.items() if k != "forget"}
    patch.setitem(PROFILES, "smoke", {**PROFILES["smoke"], **small, "draws": 10})
    # A third of the time would be spent on eight steps of relearning for each model.
    patch.setitem(clip_bench._RELEARNING, "checkpoints", (1,))
    patch.setattr(plan, "search_space", lambda kind=CLIP: SPACE)
    patch.setattr(plan, "tasks_of", lambda profile: TASKS)


def dask_setup(worker: Any) -> None:
    """Make the benchmark of a worker tiny; Dask calls this where this module is preloaded."""
    make_tiny(pytest.MonkeyPatch())
