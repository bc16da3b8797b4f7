"""erasekit: make CLIP forget a concept, and verify that it did.

Example:

    import erasekit

    experiment = erasekit.load("default", forget="fruit")
    erased = experiment.erase(method="cliperase")
    scorecard = experiment.evaluate({"erased": erased, "control": experiment.control()})
    print(scorecard.table())
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from erasekit import plots
    from erasekit.evaluate.scorecard import Scorecard
    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.experiment.kinds import load

# Waiting threads must not spin, which slows everything down on a small machine. This variable is
# read once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
__all__ = ["Experiment", "Scorecard", "load", "plots"]

# Lazy imports, because torch and open_clip take seconds to import.
_HOMES = {
    "Experiment": "erasekit.experiment.clip_experiment",
    "Scorecard": "erasekit.evaluate.scorecard",
    "load": "erasekit.experiment.kinds",
}


def __getattr__(name: str) -> Any:
    if name == "plots":
        return import_module("erasekit.plots")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'erasekit' has no attribute '{name}'")
