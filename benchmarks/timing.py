"""Timing of pieces side by side: a machine's speed changes, and ratios of one round do not."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median


def in_turns(pieces: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Wall seconds of each piece, `repeats` times, one after the other in each round."""
    for piece in pieces.values():  # a first call pays for allocation and lazy set-up
        piece()
    seconds: dict[str, list[float]] = {name: [] for name in pieces}
    for _ in range(repeats):
        for name, piece in pieces.items():
            started = time.perf_counter()
            piece()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(of: list[float], to: list[float]) -> dict[str, float]:
    """Median, least and greatest of the ratios of values measured in the same round."""
    found = [a / b for a, b in zip(of, to, strict=True)]
    return {"median": median(found), "low": min(found), "high": max(found)}
