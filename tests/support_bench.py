"""The benchmark made tiny, in a test and in the processes that it starts."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support_tiny import TINY

from erasekit.leaderboard import clip_bench, plan
from erasekit.leaderboard.clip_bench import ClipBench
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


def start_tiny() -> None:
    """Make the benchmark of this process tiny, and that of the local workers it starts."""
    import multiprocessing

    import dask

    make_tiny(pytest.MonkeyPatch())
    forked = {"multiprocessing-method": "forkserver", "preload": [__name__]}
    dask.config.set({"distributed.worker": forked})
    multiprocessing.set_forkserver_preload([__name__])  # imports torch once for all workers


def dask_setup(worker: Any) -> None:
    """In a worker: a tiny benchmark, whose tests of seed 1 never end."""
    patch, attack = pytest.MonkeyPatch(), ClipBench.attack
    make_tiny(patch)

    def attack_or_wait(bench: ClipBench, model: Any) -> dict[str, float]:
        if bench.case.erase.seed == 1:
            time.sleep(300)
        return attack(bench, model)

    patch.setattr(ClipBench, "attack", attack_or_wait)
