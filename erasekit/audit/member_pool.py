"""Training pairs and unseen pairs of the same kind, and how well a score separates them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from erasekit.audit.base import Estimate, Measure, Metric, Result, estimate_statistic
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.evaluate.membership_auc import membership_auc, pair_similarity
from erasekit.models.clip import Clip

#: False-positive rate at which hits are counted.
FALSE_POSITIVES = 0.01
#: With fewer couples, neither a rate of 1 % nor a fitted attacker is meaningful.
LEAST_COUPLES = 10
#: Each draw ranks all pairs again, so there are fewer draws than for a mean.
MOST_DRAWS = 200
MOST_ROC_POINTS = 50

AUC = Metric("auc", "members told from unseen pairs (AUC)", "remembered", unit="auc")
TPR = Metric("tpr_at_1_fpr", "members found at 1 % false alarms", "remembered", acquits=False)


@dataclass(frozen=True)
class Pool:
    """Training pairs of the forget set, matched with unseen pairs.

    Attributes:
        members: n pairs of the training list.
        others: n pairs of another split; the i-th has the same forgotten concept and the
            same number of concepts in its picture as the i-th member.
        concepts: forgotten concept of each couple, shape (n,).
    """

    members: Pairs
    others: Pairs
    concepts: np.ndarray

    def __len__(self) -> int:
        return len(self.concepts)

    @property
    def is_member(self) -> np.ndarray:
        """True for each member, then False for each other, shape (2n,)."""
        return np.repeat([True, False], len(self))

    @property
    def groups(self) -> np.ndarray:
        """The forgotten concept of each member, then of each other, shape (2n,)."""
        return np.tile(self.concepts, 2)

    def similarities(self, clip: Clip) -> np.ndarray:
        """Return the similarity of picture and caption, members first, shape (2n,)."""
        scores = [pair_similarity(clip, pairs) for pairs in (self.members, self.others)]
        return np.concatenate(scores).astype(float)

    @property
    def notes(self) -> list[str]:
        """Remarks on rates that are measured on these pairs."""
        alarms = int(FALSE_POSITIVES * len(self))
        return [
            f"{len(self)} training pairs are compared with {len(self)} unseen ones of the same "
            "concepts, with as many concepts in the picture.",
            f"A false-alarm rate of 1 % means at most {alarms} of the {len(self)} unseen pairs.",
        ]


def make_pool(task: ErasureTask, split: str) -> Pool:
    """Match as many members with unseen pairs as possible.

    Single pictures and scenes score differently, and their proportions differ between
    splits: without matching, that alone would reveal members. Matching by concept also
    keeps both kinds in every bootstrap draw of concepts.
    """
    seen, unseen = task.members(split)
    have, free = _by_kind(task, seen), _by_kind(task, unseen)
    couples = [
        (member, other, concept)
        for (concept, size), members in have.items()
        for member, other in zip(members, free[concept, size], strict=False)
    ]
    rows = np.array(couples, dtype=np.int64).reshape(-1, 3)
    return Pool(seen.take(rows[:, 0]), unseen.take(rows[:, 1]), rows[:, 2])


def forgotten_in(task: ErasureTask, concepts: tuple[int, ...]) -> int:
    """Return the first forgotten concept of a pair."""
    return next(concept for concept in concepts if concept in task.forgotten)


def _by_kind(task: ErasureTask, pairs: Pairs) -> defaultdict[tuple[int, int], list[int]]:
    """Group rows by their first forgotten concept and their number of concepts."""
    rows: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for row, concepts in enumerate(pairs.concepts):
        rows[forgotten_in(task, concepts), len(concepts)].append(row)
    return rows


def too_few(pool: Pool) -> Result | None:
    """Return the empty result of a test with too few pairs; None if there are enough."""
    if len(pool) >= LEAST_COUPLES:
        return None
    return Result(
        [],
        notes=[
            f"Nothing was measured: only {len(pool)} training pairs have an unseen pair like "
            f"them, and at least {LEAST_COUPLES} are needed."
        ],
    )


def hits_at(members: np.ndarray, others: np.ndarray, rate: float = FALSE_POSITIVES) -> float:
    """Return the share of members above the threshold that at most `rate` of others pass."""
    allowed = int(rate * len(others))
    return float((members > np.sort(others)[-1 - allowed]).mean())


def ranking(
    model: str, condition: str, scores: np.ndarray, pool: Pool, draws: int, seed: int
) -> list[Measure]:
    """Measure the signed AUC and the true-positive rate at 1 % false positives of a score."""
    return [
        Measure(
            model, name, condition, estimate_ranking(statistic, scores, pool, draws, seed), chance
        )
        for name, statistic, chance in (
            (AUC.name, membership_auc, 0.5),
            (TPR.name, hits_at, FALSE_POSITIVES),
        )
    ]


def estimate_ranking(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    scores: np.ndarray,
    pool: Pool,
    draws: int,
    seed: int,
) -> Estimate:
    """Estimate a statistic of members' and others' scores, with a bootstrap over concepts."""
    member = pool.is_member
    return estimate_statistic(
        lambda rows: statistic(scores[rows][member[rows]], scores[rows][~member[rows]]),
        pool.groups,
        min(draws, MOST_DRAWS),
        seed,
    )


def roc_points(model: str, condition: str, scores: np.ndarray, pool: Pool) -> list[dict[str, Any]]:
    """Return at most `MOST_ROC_POINTS` points of the ROC curve, including its ends.

    Returns:
        Records with ``model``, ``condition``, ``fpr`` and ``tpr``.
    """
    from sklearn.metrics import roc_curve

    alarms, found, _ = roc_curve(pool.is_member, scores)
    chosen = np.unique(np.linspace(0, len(alarms) - 1, MOST_ROC_POINTS).round().astype(int))
    return [
        {"model": model, "condition": condition, "fpr": float(alarms[i]), "tpr": float(found[i])}
        for i in chosen
    ]
