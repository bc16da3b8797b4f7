"""The tiny experiment of the contract checks."""

from __future__ import annotations

from functools import cache
from typing import Any

#: Settings of the tiny experiment: about the smallest with which an original learns something.
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
def tiny_experiment(kind: str = "clip") -> Any:
    """Return an experiment that takes seconds, for a kind of model; its models are cached."""
    from erasekit.experiment.kinds import make_experiment
    from erasekit.settings import make_settings

    own = {"language_steps": 3} if kind == "language" else {}
    return make_experiment(make_settings("smoke", kind=kind, **TINY, **own), progress=False)
