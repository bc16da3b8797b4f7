"""Exercises of notebooks 06 to 08: measuring, looking, attacking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from erasekit.tutorial.exercise import Exercise, hinted, number, written

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.models.clip import Clip


def _auc(e: Experiment, clip: Clip, before: float, after: float) -> float:
    """AUC of a membership attack whose score weighs a pair's similarity in two models."""
    from erasekit.evaluate.membership_auc import membership_auc, pair_similarity

    members, others = (
        before * pair_similarity(e.original, pairs) + after * pair_similarity(clip, pairs)
        for pairs in e.task.members("test")
    )
    return membership_auc(members, others)


def _below_all(answer: Any) -> str | None:
    """Two of five values are below all of the oracle's; the mean of these is 0.4."""
    import torch

    erased = torch.tensor([-0.9, 0.0, 0.1, 0.3, 0.9])
    oracle = torch.tensor([0.8, 0.1, 0.3])
    share = float(written(answer, erased, oracle))
    hints = {
        0.4: None,
        2.0: "That is a count. Divide it by the number of pictures.",
        0.6: "A value equal to the oracle's lowest is not below it: use `<`, not `<=`.",
        0.8: "That is the share below the oracle's mean or highest value. Compare with its lowest.",
        0.2: "That is the share above all of the oracle's values: the other side.",
    }
    return hinted(
        share,
        hints,
        "For −0.9, 0.0, 0.1, 0.3 and 0.9, and an oracle with 0.8, 0.1 and 0.3, it gives "
        f"{share:.2f}; it should give 0.40.",
    )


def _shown(fitted: Tensor, before: Tensor, after: Tensor, centre_each: bool = False) -> float:
    """Mean share of a move's length that is seen on the plane fitted on some points."""
    import torch

    plane = torch.linalg.svd(fitted - fitted.mean(dim=0), full_matrices=False)[2][:2]
    move = after - before
    if centre_each:
        move = move - move.mean(dim=0)
    return float(((move @ plane.T).norm(dim=1) / (after - before).norm(dim=1)).mean())


def _both(before: Tensor, after: Tensor) -> Tensor:
    import torch

    return torch.cat([before, after])


def _turned(answer: Any) -> str | None:
    """Points, turned by a rotation that is known, and some of them moved besides."""
    import torch

    generator = torch.Generator().manual_seed(0)
    before = torch.randn(12, 3, generator=generator)
    rotation = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    turned = written(answer, before.clone(), before @ rotation)
    if not isinstance(turned, torch.Tensor) or turned.shape != before.shape:
        return "It must return points, a tensor of the same shape as `after`."
    if torch.allclose(turned, before @ rotation, atol=1e-4):
        return "The points are where they were: multiply `after` by the rotation."
    if not torch.allclose(turned, before, atol=1e-3):
        return (
            "Points that were only rotated must come back exactly. Check the order of the factors: "
            "`torch.linalg.svd` returns V already transposed."
        )
    moved = 2 * before @ rotation
    if not torch.allclose(written(answer, before, moved).norm(), moved.norm(), rtol=1e-3):
        return "It changes lengths. A rotation keeps them: leave out the singular values."
    return None


def _leak(answer: Any) -> str | None:
    """The answer must be an audit in which the model leaks by other wordings."""
    from erasekit.audit.verdict import LESS

    if not hasattr(answer, "verdicts"):
        return "Put the audit itself there: what `e.audit(...)` returns."
    verdict = answer.verdicts.get("prompt_leaks")
    if verdict is None:
        return 'The attack did not run: pass `tests=["prompt_leaks"]`.'
    if not answer.oracles:
        return "Without an oracle there is no verdict: leave `oracles` above 0."
    if verdict != LESS:
        return f"The verdict is *{verdict}*: erase in fewer steps, and audit that model."
    return None


def _prototypes(answer: Any) -> str | None:
    """Two classes: lengths mislead a mean of unequal features, and an argmin the rest."""
    import torch

    features = torch.tensor([[9.0, 0.0], [0.0, 1.0], [-1.0, 0.1], [-4.0, 0.0], [-1.0, 0.0]])
    labels = torch.tensor([0, 0, 1, 1, 1])
    new = torch.tensor([[0.2, 3.0], [-5.0, 1.0], [-0.5, 2.0], [4.0, 0.5], [-0.6, 1.6]])
    found = written(answer, features, labels, new)
    found = torch.as_tensor(found)
    if found.shape != (5,):
        return f"It must give one class for each new picture, shape (5,), not {tuple(found.shape)}."
    hints: dict[tuple[int, ...], str | None] = {
        (0, 1, 0, 0, 0): None,
        (1, 0, 1, 1, 1): "These are the classes with the smallest cosine: take the largest.",
        (0, 1, 1, 0, 1): "Normalise the features before you take their mean: long ones count more.",
        (0, 1, 0, 0, 1): "Normalise the prototypes too: a mean of unit vectors is shorter than 1.",
    }
    classes = tuple(int(c) for c in found)
    if classes in hints:
        return hints[classes]
    return "Some new pictures get another class than that of the prototype with the largest cosine."


EXERCISES: dict[str, dict[str, Exercise]] = {
    "06_evaluation": {
        "both_models": Exercise(
            level="modify",
            hint="`pair_similarity(e.original, trained)` gives similarities before the erasure.",
            judge=number(
                lambda e, clip: _auc(e, clip, 1, -1),
                within=0.005,
                mistakes={
                    "The sign is the other way round: the score is before minus after.": (
                        lambda e, clip: _auc(e, clip, -1, 1)
                    ),
                    "That is the erased model alone. Subtract from the original's similarity.": (
                        lambda e, clip: _auc(e, clip, 0, 1)
                    ),
                    "That is the original alone. Subtract the erased model's similarity.": (
                        lambda e, clip: _auc(e, clip, 1, 0)
                    ),
                },
                otherwise="Take all pairs of `trained` and `unseen`, not the first five.",
            ),
            because="The scorecard's row is an attack on the erased model alone. Someone who also "
            "has the model from before can use both. An AUC far from one half, on either side, "
            "tells members from other pairs.",
        ),
        "below_all": Exercise(
            level="build",
            hint="Compare with `oracle_similarity.min()`, and take the mean.",
            judge=_below_all,
            because="It compares with the oracle's values and not with zero, so that it does not "
            "call an unseen concept over-forgotten.",
        ),
    },
    "07_embedding_shift": {
        "one_map": Exercise(
            level="modify",
            hint="`torch.linalg.svd(before - mean, full_matrices=False)[2][:2]` spans the plane.",
            judge=number(
                lambda before, after: _shown(before, before, after),
                within=0.003,
                mistakes={
                    "That is the map of all points together: fit the plane on `before` alone.": (
                        lambda before, after: _shown(_both(before, after), before, after)
                    ),
                    "Subtract the same mean from both sets. With two means, the move that all "
                    "points share is lost.": (
                        lambda before, after: _shown(before, before, after, centre_each=True)
                    ),
                },
                otherwise="Divide the length of each move on the map by its length in the full "
                "space, then take the mean.",
            ),
            because="A plane is chosen for the points it was fitted on. Moves out of that plane "
            "cannot be seen on it, so that a map alone does not show that nothing moved.",
        ),
        "turned": Exercise(
            level="build",
            hint="`u, _, v = torch.linalg.svd(after.T @ before)`; its `v` is V transposed.",
            judge=_turned,
            because="A cosine with the former self below 1 is not damage by itself. What is left "
            "after the rotation changes the cosines between points, and with them the answers.",
        ),
    },
    "08_is_it_gone": {
        "leak": Exercise(
            level="modify",
            hint="`e.erase(steps=1)` takes a single step; audit its `.model`.",
            judge=_leak,
            because="The audit can fail, and names what a single step leaves behind.",
        ),
        "prototypes": Exercise(
            level="build",
            hint="Normalise, take the mean of each class, and compare by cosine.",
            judge=_prototypes,
            because="No name and no training is needed to tell concepts apart in the features. "
            "It succeeds on the oracle too, as far as the features of unseen concepts differ.",
        ),
    },
}
