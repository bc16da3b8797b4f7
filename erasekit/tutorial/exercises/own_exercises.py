"""Exercises of notebook 13: erasing from your own data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from erasekit.tutorial.exercise import Exercise, written

if TYPE_CHECKING:
    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.unlearn.engine import Erasure


def _nearer(answer: Any, world: Experiment, erased: Erasure) -> str | None:
    from erasekit.tutorial.own_data import request_similarity

    if not hasattr(answer, "encode_texts"):
        return "Put the mixed model itself there: a copy of `world.original`."
    goal, before, run, own = (
        request_similarity(world, clip)
        for clip in (world.oracle, world.original, erased.model, answer)
    )
    if own >= before:
        return "It is not below the original's similarity: nothing was erased."
    if abs(own - goal) >= abs(run - goal):
        side = "above" if own > goal else "below"
        return f"It is still as far from the oracle as the erased model, and {side} it."
    return None


def _near_copies(answer: Any) -> str | None:
    """Judge it on a picture, an exact copy, a near-copy, a brighter picture and another one."""
    import torch

    generator = torch.Generator().manual_seed(0)
    first, other = torch.randint(10, 200, (2, 3, 8, 8), generator=generator, dtype=torch.uint8)
    images = torch.stack([first, first - 1, other, first + 40, first])
    found = sorted(int(row) for row in written(answer, images, 0))
    hints = {
        (1, 4): None,
        (0, 1, 4): "The picture itself is in the list: leave `row` out.",
        (4,): "The picture that is darker by 1 is missing. Compare the mean with 4, and convert "
        "to float first: uint8 wraps around, 5 − 6 is 255 there.",
        (1, 3, 4): "A picture that is brighter by 40 is in the list: compare the mean with 4.",
    }
    said = f"For near-copies in rows 1 and 4 it returns {found}."
    return hints.get(tuple(found), said)


EXERCISES: dict[str, dict[str, Exercise]] = {
    "13_your_own_data": {
        "nearer": Exercise(
            level="modify",
            hint="`own.data.lerp_(other.data, 0.5)` moves a parameter half of the way to another.",
            judge=_nearer,
            because="An erasure can be taken back in part. Without an oracle, compare with unseen "
            "pictures of the same kind.",
        ),
        "near_copies": Exercise(
            level="build",
            hint="`images.float()` first, then the mean of the absolute difference.",
            judge=_near_copies,
            because="A crop or a mirrored copy differs in every pixel. The preview therefore also "
            "compares perceptual hashes and the model's own features.",
        ),
    },
}
