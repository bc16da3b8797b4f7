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
    """Log odds of each pair's forgotten concept in the zero-shot answer, shape (n,).

    The answer is the softmax over the English names of all trained concepts at the model's
    own logit scale. Log odds order pairs as probabilities do, and do not round to 1.
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
