"""Cached training: the cache key covers everything that determines the trained model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from erasekit.cache import cached
from erasekit.files import read_json, write_json
from erasekit.loop import LoopResult
from erasekit.processes import on_main

COST_FILE = "cost.json"


def trained(
    kind: str,
    recipe: Mapping[str, Any],
    train: Callable[[Path], LoopResult],
    *,
    code: tuple[str, ...],
    device: torch.device,
    precision: str,
) -> Path:
    """The folder of the model that `recipe` describes; trained only if it is not cached.

    The folder's `COST_FILE` records the cost of training: ``seconds``, ``cpu_seconds`` and
    ``steps``. If several processes need the model, one trains and the others wait.

    Args:
        kind: one word for the model, such as ``oracle``.
        recipe: the world, the spec, and the fingerprint of the training data, so that a model
            trained on other data is never reused.
        train: function that writes the model into a given folder.
        code: the modules that train the model and make its training data.
    """
    recipe = {
        **recipe,
        "threads": torch.get_num_threads(),
        "device": device.type,
        "precision": precision,
    }

    def make(folder: Path) -> None:
        began = time.process_time()
        result = train(folder)
        cost = {"seconds": result.seconds, "cpu_seconds": time.process_time() - began}
        write_json(
            folder / COST_FILE,
            {**{k: round(v, 2) for k, v in cost.items()}, "steps": result.steps},
        )

    return on_main(lambda: cached(kind, recipe, make, code=code))


def cost_of(folder: Path) -> dict[str, float]:
    """Training cost of a model from `trained`."""
    return read_json(folder / COST_FILE)
