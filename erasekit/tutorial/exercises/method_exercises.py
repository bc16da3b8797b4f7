"""Exercises of notebooks 09 and 14: methods compared, and the reproduction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from erasekit.tutorial.exercise import Exercise, number, written


def _points_from_expected(values: Mapping[str, float], original: Mapping[str, float]) -> float:
    wanted = {**original, "top1_forget": 0.0, "membership_auc_forget": 0.5}
    return 100 * sum(abs(values[k] - v) for k, v in wanted.items()) / len(wanted)


_FILTER = number(
    lambda original: 0.0,
    within=1e-6,
    mistakes={
        "That is the original itself, without a filter.": lambda original: _points_from_expected(
            original, original
        ),
        "Names are hidden, but members can still be told: set `membership_auc_forget` too.": (
            lambda original: _points_from_expected({**original, "top1_forget": 0.0}, original)
        ),
        "Forgotten names are still given: set `top1_forget` too.": (
            lambda original: _points_from_expected(
                {**original, "membership_auc_forget": 0.5}, original
            )
        ),
    },
    otherwise="Change `top1_forget` and `membership_auc_forget` only.",
)


def _null_space(answer: Any) -> str | None:
    """Two names that are not orthogonal, and a picture with a part outside of their span."""
    import torch

    names = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.6, 0.8, 0.0, 0.0]])
    images = torch.tensor([[0.5, 0.5, 0.5, 0.5], [0.0, 1.0, 0.0, 2.0]])
    found = written(answer, images, names)
    if not isinstance(found, torch.Tensor) or found.shape != images.shape:
        return "It must return a tensor of the shape of `images`."
    right = images * torch.tensor([0.0, 0.0, 1.0, 1.0])
    hints = [
        (right, None),
        (
            torch.nn.functional.normalize(right, dim=1),
            "Return the projection as it is, without normalising it.",
        ),
        (images - right, "That is the part inside the span. Subtract it from the picture."),
        (
            images - images @ names.T @ names,
            "The names are not orthogonal: what two of them share is subtracted twice. "
            "Use `torch.linalg.qr`.",
        ),
        (images, "Nothing changed."),
    ]
    for value, hint in hints:
        if torch.allclose(found, value, atol=1e-4):
            return hint
    most = float((found @ names.T).abs().max())
    if most > 1e-4:
        return f"A dot product with a name is still {most:.2f}."
    return "The part outside of the span must stay as it was."


def _by_picture(answer: Any) -> str | None:
    """Forty pictures of five captions each: about three tenths of the pictures go to the test."""
    import numpy as np

    pictures = [f"{i:02}.jpg" for i in range(40) for _ in range(5)]
    rng = np.random.default_rng(0)
    rng.shuffle(pictures)
    test = np.asarray(written(answer, list(pictures), 0.3, 0))
    if test.shape != (len(pictures),) or test.dtype != bool:
        return "It must return one True or False per row."
    parts: dict[str, set[bool]] = {}
    for picture, held_out in zip(pictures, test, strict=True):
        parts.setdefault(picture, set()).add(bool(held_out))
    both = [picture for picture, found in parts.items() if len(found) == 2]
    if both:
        return f"{both[0]} has captions in both parts ({len(both)} pictures do): draw pictures."
    drawn = sum(found == {True} for found in parts.values())
    if drawn != 12:
        return f"{drawn} of 40 pictures are in the test part; it should be 12."
    again = np.asarray(written(answer, list(pictures), 0.3, 0))
    if (again != test).any():
        return "Another call with the same seed gives another split."
    if (np.asarray(written(answer, list(pictures), 0.3, 1)) == test).all():
        return "Another seed gives the same split: use `seed`."
    return None


def _fall(ours: Any, model: str, subset: str = "forget") -> float:
    return ours["cifar100", "original", subset] - ours["cifar100", model, subset]


EXERCISES: dict[str, dict[str, Exercise]] = {
    "09_methods": {
        "filter": Exercise(
            level="modify",
            hint='`{**original, "top1_forget": …}` is a changed copy.',
            judge=_FILTER,
            because="A filter reaches the best possible value and forgets nothing. The measure is "
            "good for choosing between trials of a method, and no evidence that anything is gone.",
        ),
        "null_space": Exercise(
            level="build",
            hint="`torch.linalg.qr(names.T).Q` has an orthonormal basis of the span as columns.",
            judge=_null_space,
            because="It needs no training and no pictures. A retained picture loses whatever its "
            "feature shares with the forgotten names. Concepts that share much lose much.",
        ),
    },
    "14_reproduce_cliperase": {
        "explained": Exercise(
            level="modify",
            hint='`ours["cifar100", "original", "forget"]` is where both falls begin.',
            judge=number(
                lambda ours: _fall(ours, "control") / _fall(ours, "erased"),
                within=0.005,
                mistakes={
                    "That is the fall of the control in points. Divide it.": (
                        lambda ours: _fall(ours, "control")
                    ),
                    "That is the other way round: divide by the erased model's fall.": (
                        lambda ours: _fall(ours, "erased") / _fall(ours, "control")
                    ),
                    "That is a ratio of accuracies. Divide how far they fell.": (
                        lambda ours: (
                            ours["cifar100", "control", "forget"]
                            / ours["cifar100", "original", "forget"]
                        )
                    ),
                    "That is on the retained classes.": (
                        lambda ours: (
                            _fall(ours, "control", "retain") / _fall(ours, "erased", "retain")
                        )
                    ),
                },
            ),
            because="Only the remaining share can be credited to unlearning.",
        ),
        "by_picture": Exercise(
            level="build",
            hint="Shuffle the list of different pictures, take the first ones, and ask for each "
            "row whether its picture is among them.",
            judge=_by_picture,
            because="With a split by caption, a model is tested on pictures that it was trained "
            "on, described in other words, and can score by remembering them.",
        ),
    },
}
