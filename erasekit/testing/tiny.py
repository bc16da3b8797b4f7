"""The tiny experiment that contracts are checked on."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from erasekit.experiment.clip_experiment import Experiment

#: Settings of the tiny experiment: the least from which an original learns something.
TINY: dict[str, Any] = {
    "concepts": 8,
    "pictures": 4,
    "scenes": 4,
    "held_out_pictures": 3,
    "train_steps": 60,
    "train_batch": 8,
    "draws": 20,
}


@cache
def tiny_experiment() -> Experiment:
    """An experiment of a second or two; its models are kept in the cache."""
    from erasekit.experiment.clip_experiment import load

    return load("smoke", progress=False, **TINY)
