"""Membership: can the training pairs be identified from a model's scores?

Two scores rank the pairs. *Loss* is the similarity of picture and caption, a proxy for the
pair's loss. *Confidence* is the zero-shot confidence in the pair's forgotten concept.

The verdict rests on the signed AUC of each score: members are expected to score higher,
nothing is fitted, and a value below 0.5 means that members score below unseen pairs.
A fitted attacker, which may combine the two scores, also learns their direction: it gives
the same high value to a model that remembers and to one that over-forgets. It measures how
much information there is in total, and is reported without a verdict.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from erasekit.audit.base import (
    AuditTest,
    Measure,
    Metric,
    Models,
    Result,
)
from erasekit.audit.member_pool import (
    AUC,
    TPR,
    Pool,
    estimate_ranking,
    forgotten_in,
    make_pool,
    ranking,
    roc_points,
    too_few,
)
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.membership_auc import membership_auc
from erasekit.evaluate.naming import trained_concepts
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features

_FOLDS = 5

ATTACK = Metric("attack_auc", "members told by a fitted attacker (AUC)", "reported", unit="auc")

_UNJUDGED = (
    "The fitted attacker gets no verdict: it learns which way the scores point, and so tells "
    "members from others in a model that over-forgets as well as in one that remembers."
)


def confidence(clip: Clip, task: ErasureTask, pairs: Pairs) -> np.ndarray:
    """Return the zero-shot log odds of each pair's forgotten concept, shape (n,).

    The probabilities are the softmax over the English names of all trained concepts at the
    model's logit scale. Log odds rank pairs as probabilities do, without rounding to 1.
    """
    world = task.world
    names = concept_features(clip, trained_concepts(world))
    own = [world.trained.index(forgotten_in(task, concepts)) for concepts in pairs.concepts]
    logits = (clip.encode_images(pairs.images) @ names.T).double()
    logits *= clip.model.logit_scale.detach().double().exp().cpu()
    rows = torch.arange(len(pairs))
    right = logits[rows, own]
    logits[rows, own] = -torch.inf
    return (right - logits.logsumexp(1)).numpy()


def membership(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
) -> Result:
    """Rank training pairs of the forget set among unseen pairs, by two scores.

    Args:
        models: models to test.
        task: the erasure task: its forget set holds the members.
        split: source of the unseen pairs of the same kind.
        draws: draws of the bootstrap over forgotten concepts, at most `MOST_DRAWS`.
        seed: seed of the bootstrap.

    Returns:
        ``auc`` and ``tpr_at_1_fpr`` by a threshold on the score, from 0 to 1 (chance: 0.5
        and 0.01); conditions ``loss`` and ``confidence``. ``attack_auc`` of the fitted
        attacker (see `attack`), also for ``both`` scores together. Details are the points
        of the ROC curves: ``model``, ``condition``, ``fpr``, ``tpr``; for ``both``, those
        of the fitted attacker.

    Source: Yeom et al. 2018 (1709.01604) and the evaluation of SalUn (2310.12508) and
    MUSE (2407.06460). They attack a classifier's or a language model's loss; we use the
    pair's similarity instead and compare with oracles that never saw a member.
    """
    pool = make_pool(task, split)
    if nothing := too_few(pool):
        return nothing
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
            estimate = estimate_ranking(membership_auc, said, pool, draws, seed)
            measures.append(Measure(model, ATTACK.name, condition, estimate, 0.5))
        details += roc_points(model, "both", said, pool)
    return Result(measures, details, [*pool.notes, _UNJUDGED])


def attack(scores: np.ndarray, pool: Pool) -> np.ndarray:
    """Predict membership by cross-validated logistic regression.

    All pairs of a concept are in one fold, so that the regression cannot learn how well the
    model knows the tested concept. If only one concept is forgotten, the two pairs of a
    couple share a fold. Either way, half of each fold are members.

    Args:
        scores: scores of the pool's pairs, shape (2n, number of scores).

    Returns:
        Log odds of membership of each pair, shape (2n,).
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
