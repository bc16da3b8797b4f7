"""Membership: does a model betray which pairs it was trained on?

Two scores of a pair can be ranked. *Loss* is the similarity of picture and caption, which
stands for the pair's loss. *Confidence* is how sure the zero-shot answer is of the pair's
forgotten concept.

What is judged is the signed AUC of each score: members are expected to score higher,
nothing is fitted, and a value below 0.5 shows members pushed below what was never seen.
A fitted attacker, who may also weigh the two scores together, learns which way they
point: it gives the same high value to a model that remembers and to one that over-forgets.
It says how much can be told in all, and stands beside the signed AUC without a verdict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from erasekit.audit.base import (
    AuditTest,
    Estimate,
    Measure,
    Metric,
    Models,
    Result,
    estimate_statistic,
)
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.membership_auc import membership_auc, pair_similarity
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features

#: The false-positive rate at which hits are counted.
FALSE_POSITIVES = 0.01
#: With fewer couples no rate of 1 % and no attacker has a meaning.
LEAST_COUPLES = 10
#: Each draw ranks all pairs anew, so that there are fewer than of a mean.
MOST_DRAWS = 200
MOST_ROC_POINTS = 50
_FOLDS = 5

AUC = Metric("auc", "members told from unseen pairs (AUC)", "remembered", unit="auc")
TPR = Metric("tpr_at_1_fpr", "members found at 1 % false alarms", "remembered", acquits=False)
ATTACK = Metric("attack_auc", "members told by a fitted attacker (AUC)", "reported", unit="auc")

_UNJUDGED = (
    "The fitted attacker gets no verdict: it learns which way the scores point, and so tells "
    "members from others in a model that over-forgets as well as in one that remembers."
)


@dataclass(frozen=True)
class Pool:
    """Training pairs of the forget set and unseen pairs of its kind, like with like.

    Attributes:
        members: from the training list, shape (n).
        others: as many from another split, the i-th with the same forgotten concept and
            as many concepts in its picture as the i-th member.
        concepts: the forgotten concept of each couple, shape (n,).
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
        """Similarity of picture and caption, members first, shape (2n,)."""
        scores = [pair_similarity(clip, pairs) for pairs in (self.members, self.others)]
        return np.concatenate(scores).astype(float)

    @property
    def notes(self) -> list[str]:
        """What a reader must know of a rate that rests on these pairs."""
        alarms = int(FALSE_POSITIVES * len(self))
        return [
            f"{len(self)} training pairs are held against {len(self)} unseen ones of the same "
            "concepts, with as many concepts in the picture.",
            f"A false-alarm rate of 1 % means at most {alarms} of the {len(self)} unseen pairs.",
        ]


def make_pool(task: ErasureTask, split: str) -> Pool:
    """Couples of a member and an unseen pair, as many as there are.

    Single pictures and scenes score differently, and the splits hold them in different
    proportions: left unmatched, a model would tell members by that alone. Matching by
    concept also leaves both kinds in every bootstrap draw of concepts.
    """
    unseen = task.forget_part(task.world.pairs(split))
    have, free = _by_kind(task, task.forget), _by_kind(task, unseen)
    couples = [
        (member, other, concept)
        for (concept, size), members in have.items()
        for member, other in zip(members, free[concept, size], strict=False)
    ]
    rows = np.array(couples, dtype=np.int64).reshape(-1, 3)
    return Pool(task.forget.take(rows[:, 0]), unseen.take(rows[:, 1]), rows[:, 2])


def _forgotten_in(task: ErasureTask, concepts: tuple[int, ...]) -> int:
    """The first forgotten concept of a pair of the forget set's kind."""
    return next(concept for concept in concepts if concept in task.forgotten)


def _by_kind(task: ErasureTask, pairs: Pairs) -> defaultdict[tuple[int, int], list[int]]:
    """Rows of the pairs, by their first forgotten concept and how many concepts they show."""
    rows: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for row, concepts in enumerate(pairs.concepts):
        rows[_forgotten_in(task, concepts), len(concepts)].append(row)
    return rows


def too_few(pool: Pool) -> Result:
    """The result of a test that has too few pairs to be made."""
    return Result(
        [],
        notes=[
            f"Nothing was measured: only {len(pool)} training pairs have an unseen pair like "
            f"them, and at least {LEAST_COUPLES} are needed."
        ],
    )


def confidence(clip: Clip, task: ErasureTask, pairs: Pairs) -> np.ndarray:
    """Log odds of each pair's forgotten concept in the zero-shot answer, shape (n,).

    The answer is the softmax over the English names of all trained concepts at the model's
    own logit scale. Log odds order pairs as probabilities do, and do not round to 1.
    """
    world = task.world
    names = concept_features(clip, [world.concept(i) for i in world.trained])
    own = [world.trained.index(_forgotten_in(task, concepts)) for concepts in pairs.concepts]
    logits = (clip.encode_images(pairs.images) @ names.T).double()
    logits *= clip.model.logit_scale.detach().double().exp().cpu()
    rows = torch.arange(len(pairs))
    right = logits[rows, own]
    logits[rows, own] = -torch.inf
    return (right - logits.logsumexp(1)).numpy()


def hits_at(members: np.ndarray, others: np.ndarray, rate: float = FALSE_POSITIVES) -> float:
    """Share of members above a threshold that at most `rate` of the others pass."""
    allowed = int(rate * len(others))
    return float((members > np.sort(others)[-1 - allowed]).mean())


def ranking(
    model: str, condition: str, scores: np.ndarray, pool: Pool, draws: int, seed: int
) -> list[Measure]:
    """Signed AUC, and members found at 1 % false alarms, by one score of the pool's pairs."""
    return [
        Measure(model, name, condition, _estimate(statistic, scores, pool, draws, seed), chance)
        for name, statistic, chance in (
            (AUC.name, membership_auc, 0.5),
            (TPR.name, hits_at, FALSE_POSITIVES),
        )
    ]


def _estimate(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    scores: np.ndarray,
    pool: Pool,
    draws: int,
    seed: int,
) -> Estimate:
    """A statistic of the members' and the others' scores, by bootstrap over concepts."""
    member = pool.is_member
    return estimate_statistic(
        lambda rows: statistic(scores[rows][member[rows]], scores[rows][~member[rows]]),
        pool.groups,
        min(draws, MOST_DRAWS),
        seed,
    )


def roc_points(model: str, condition: str, scores: np.ndarray, pool: Pool) -> list[dict[str, Any]]:
    """Points of the ROC curve, ends included, at most `MOST_ROC_POINTS`.

    Returns:
        records with ``model``, ``condition``, ``fpr`` and ``tpr``.
    """
    from sklearn.metrics import roc_curve

    alarms, found, _ = roc_curve(pool.is_member, scores)
    chosen = np.unique(np.linspace(0, len(alarms) - 1, MOST_ROC_POINTS).round().astype(int))
    return [
        {"model": model, "condition": condition, "fpr": float(alarms[i]), "tpr": float(found[i])}
        for i in chosen
    ]


def membership(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
) -> Result:
    """Rank training pairs of the forget set among unseen ones, by two scores.

    Args:
        models: all are measured alike.
        task: gives the members (its forget set) and the unseen pairs of the same kind.
        split: where the unseen pairs come from.
        draws: of the bootstrap over forgotten concepts, at most `MOST_DRAWS`.
        seed: of the bootstrap.

    Returns:
        ``auc`` and ``tpr_at_1_fpr`` by a threshold on the score, from 0 to 1, where a
        guess gives 0.5 and 0.01; conditions ``loss`` and ``confidence``. ``attack_auc`` of
        the fitted attacker (see `attack`), also for ``both`` scores together. Details are
        the points of the ROC curves: ``model``, ``condition``, ``fpr``, ``tpr``; that of
        ``both`` is the fitted attacker's.

    Source: Yeom et al. 2018 (1709.01604) and the evaluation of SalUn (2310.12508) and
    MUSE (2407.06460). They attack a classifier's or a language model's loss; here the
    pair's similarity takes its place, and the value is held against oracles that never
    saw a member.
    """
    pool = make_pool(task, split)
    if len(pool) < LEAST_COUPLES:
        return too_few(pool)
    measures: list[Measure] = []
    details: list[dict[str, Any]] = []
    for model, clip in models.items():
        scores = {
            "loss": pool.similarities(clip),
            "confidence": np.concatenate(
                [confidence(clip, task, pairs) for pairs in (pool.members, pool.others)]
            ),
        }
        for condition, own in scores.items():
            measures += ranking(model, condition, own, pool, draws, seed)
            details += roc_points(model, condition, own, pool)
        together = np.stack(list(scores.values()), axis=1)
        for condition, columns in (("loss", [0]), ("confidence", [1]), ("both", [0, 1])):
            said = attack(together[:, columns], pool)
            estimate = _estimate(membership_auc, said, pool, draws, seed)
            measures.append(Measure(model, ATTACK.name, condition, estimate, 0.5))
        details += roc_points(model, "both", said, pool)
    return Result(measures, details, [*pool.notes, _UNJUDGED])


def attack(scores: np.ndarray, pool: Pool) -> np.ndarray:
    """What a logistic regression says of pairs that it was not fitted on, shape (2n,).

    A concept's pairs are all in one fold, so that it cannot learn how well a model knows
    the concept it is tested on. Where one concept alone is forgotten, a couple is. Either
    way half of every fold are members.

    Args:
        scores: of the pool's pairs, shape (2n, number of scores).

    Returns:
        log odds of being a member, of each pair.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    alone = len(set(pool.concepts)) == 1
    groups = np.tile(np.arange(len(pool)), 2) if alone else pool.groups
    said = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression()),
        scores,
        pool.is_member,
        groups=groups,
        cv=GroupKFold(min(_FOLDS, len(set(groups)))),
        method="decision_function",
    )
    return np.asarray(said)


TEST = AuditTest(
    name="membership",
    title="Membership",
    question="Can one tell which pictures of the forgotten things it was trained on?",
    source="Yeom et al. 2018; NeurIPS 2023 unlearning challenge; MUSE (2407.06460)",
    run=membership,
    metrics=(AUC, TPR, ATTACK),
)
