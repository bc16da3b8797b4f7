"""Assignment of pairs to batches before the first step.

A contrastive loss treats every other pair of the batch as a negative. Pairs with the same
concepts would be false negatives, so a batch never holds two of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from erasekit.errors import UsageError


def plan_batches(
    concepts: Sequence[tuple[int, ...]], *, steps: int, batch: int, seed: int, distinct: bool = True
) -> np.ndarray:
    """Indices of the pairs of each step, shape (steps, batch).

    The batches are repeated shuffled passes over the list. With `distinct`, a pair whose concept
    set is already in the batch waits for the next one.

    Raises:
        UsageError: when the list has fewer distinct concept sets than a batch needs.
    """
    keys = [frozenset(c) for c in concepts]
    if not keys:
        raise UsageError("the list of pairs is empty")
    if distinct and len(set(keys)) < batch:
        raise UsageError(
            f"batch = {batch}: only {len(set(keys))} different sets of concepts are there, "
            "and a batch may hold each once"
        )
    rng = np.random.default_rng(seed)
    waiting: deque[int] = deque()
    order: deque[int] = deque()
    plan = np.empty((steps, batch), dtype=np.int64)
    for step in range(steps):
        taken: set[frozenset[int]] = set()
        chosen: list[int] = []
        later: list[int] = []
        while len(chosen) < batch:
            if waiting:
                index = waiting.popleft()
            else:
                if not order:
                    order.extend(rng.permutation(len(keys)).tolist())
                index = order.popleft()
            if distinct and keys[index] in taken:
                later.append(index)
            else:
                taken.add(keys[index])
                chosen.append(index)
        waiting.extend(later)
        plan[step] = chosen
    return plan
