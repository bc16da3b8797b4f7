"""Exercises of notebooks 06 to 08: measuring, looking, attacking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from erasekit.tutorial.exercise import Exercise, number, written

if TYPE_CHECKING:
    from erasekit.evaluate.scorecard import Scorecard


def _auc(scorecard: Scorecard, model: str = "erased") -> float:
    return scorecard.value(model, "membership_auc", "forget")


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
    for value, hint in hints.items():
        if abs(share - value) < 1e-4:
            return hint
    return (
        "For −0.9, 0.0, 0.1, 0.3 and 0.9, and an oracle with 0.8, 0.1 and 0.3, it gives "
        f"{share:.2f}; it should give 0.40."
    )


EXERCISES: dict[str, dict[str, Exercise]] = {
    "06_evaluation": {
        "other_side": Exercise(
            level="modify",
            hint="`auc(-members, -others)`, where both are the similarities of all pairs in the "
            "erased model.",
            judge=number(
                lambda scorecard: 1 - _auc(scorecard),
                within=0.005,
                mistakes={
                    "That is the AUC of the similarity itself: change the sign of the scores.": (
                        lambda scorecard: _auc(scorecard)
                    ),
                    "That is the original model. Score the pairs with the erased one.": (
                        lambda scorecard: 1 - _auc(scorecard, "original")
                    ),
                },
                otherwise="Take all pairs of `trained` and `unseen`, not the first five.",
            ),
            because="It is 1 minus the other attacker's AUC, so one of the two does at least as "
            "well as a guess. An AUC below one half is no protection.",
        ),
        "below_all": Exercise(
            level="build",
            hint="Compare with `oracle_similarity.min()`, and take the mean.",
            judge=_below_all,
            because="It compares with the oracle's values and not with zero, so that it does not "
            "call an unseen concept over-forgotten.",
        ),
    },
}
