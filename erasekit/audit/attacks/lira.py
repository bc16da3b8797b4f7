"""A likelihood-ratio attack: would a model that saw this very pair score it so?

A pair that is easy scores high whether it was seen or not. Shadow models, half of which
saw it, tell what to expect of each pair in either case; the attack asks which of the two
fits the model under audit better.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch.distributions import Normal

from erasekit.audit.base import AuditTest, Measure, Models, Result
from erasekit.audit.member_pool import (
    AUC,
    TPR,
    make_pool,
    ranking,
    roc_points,
    too_few,
)
from erasekit.audit.names import ORIGINAL
from erasekit.data.pairs import joined
from erasekit.data.task import ErasureTask
from erasekit.errors import UsageError
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.models.clip import load_clip
from erasekit.models.train_clip import trained_clip
from erasekit.models.train_spec import TrainSpec
from erasekit.profiles import PROFILES

#: Each pair needs two shadows that saw it and two that did not, to know how they vary.
LEAST_SHADOWS = 4
#: Shadows start from other weights than the original and its oracles, whose seeds are small.
FIRST_SEED = 1000


def lira(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    shadows: int = 8,
    train: TrainSpec | None = None,
    precision: str = "auto",
) -> Result:
    """Tell training pairs of the forget set from unseen ones by their likelihood ratio.

    Costs as many trainings from scratch as there are shadows, each as long as the
    original's: minutes each in the default profile. They are cached, so that a second run
    trains nothing.

    Args:
        models: all are measured alike; the shadows are trained on the original's device.
        task: gives the retain set, which every shadow sees, and the pool of pairs.
        split: where the pool's unseen pairs come from.
        draws: of the bootstrap over forgotten concepts.
        seed: of the bootstrap, and of which shadow sees which pairs of the pool.
        shadows: how many; every pair of the pool is in half of them.
        train, precision: the recipe of a shadow, which should be that of the original.

    Returns:
        ``auc`` and ``tpr_at_1_fpr``, as in `audit.membership` but by the log likelihood
        ratio; details are the points of the ROC curve, ``model``, ``condition`` (empty),
        ``fpr`` and ``tpr``.

    Raises:
        UsageError: for fewer than `LEAST_SHADOWS` shadows.

    Source: Carlini et al. 2022 (2112.03570), the online attack. Ours differs in what is
    scored, the pair's similarity in place of the confidence in a label; in the pool, the
    forget set's kind alone beside a retain set that every shadow sees; and in the
    variance: with few shadows they pool it over examples, ours is always pooled, over
    pairs and over both cases, so that the ratio rises with the score.
    """
    if shadows < LEAST_SHADOWS:
        raise UsageError(f"shadows = {shadows}: must be at least {LEAST_SHADOWS}")
    pool = make_pool(task, split)
    if nothing := too_few(pool):
        return nothing
    train = train or TrainSpec()
    device = models[ORIGINAL].device
    seen = assign(shadows, 2 * len(pool), seed)
    expected = np.empty(seen.shape)
    for i, chosen in enumerate(seen):
        spec = dataclasses.replace(train, seed=train.seed + FIRST_SEED + i)
        members = pool.members.take(np.flatnonzero(chosen[: len(pool)]))
        others = pool.others.take(np.flatnonzero(chosen[len(pool) :]))
        folder = trained_clip(
            "shadow",
            task.world,
            joined([task.retain, members, others]),
            spec,
            device=device,
            precision=precision,
            without=[concept.name for concept in task.forgotten_concepts],
            label=f"shadow {i + 1} of {shadows}",
            # Positions count within a split: the list ends with this many pairs of this one.
            split=split,
            others=len(others),
        )
        expected[i] = unbounded(pool.similarities(load_clip(folder, device)))
    measures: list[Measure] = []
    details: list[dict[str, Any]] = []
    for model, clip in models.items():
        ratio = log_likelihood_ratio(unbounded(pool.similarities(clip)), expected, seen)
        measures += ranking(model, "", ratio, pool, draws, seed)
        details += roc_points(model, "", ratio, pool)
    note = (
        f"{shadows} shadow models were trained, {train.steps} steps each, on the retain set and "
        "half of these pairs; the variance of a score is pooled over all of them."
    )
    return Result(measures, details, [*pool.notes, note])


def assign(shadows: int, pairs: int, seed: int) -> np.ndarray:
    """Which shadow sees which pair: each is in exactly half of them (rounded down).

    Returns:
        bool, shape (shadows, pairs).
    """
    order = np.random.default_rng(seed).random((shadows, pairs)).argsort(axis=0)
    return order < shadows // 2


def unbounded(similarity: np.ndarray) -> np.ndarray:
    """Fisher's transform of a cosine, artanh: a Gaussian has no bounds at −1 and 1."""
    return np.arctanh(np.clip(similarity, -1 + 1e-6, 1 - 1e-6))


def log_likelihood_ratio(own: np.ndarray, expected: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How much better "seen" explains each pair's score than "unseen", shape (n,).

    Each pair has a mean among the shadows that saw it and one among the others; the
    variance about them is one for all. Were it different for seen and unseen, a score far
    below both, as over-forgetting makes, would speak for whichever is wider.

    Args:
        own: scores by the model under audit, shape (n,).
        expected: scores by each shadow, shape (shadows, n).
        seen: which shadow saw which pair, shape (shadows, n).
    """
    inside = np.where(seen, expected, np.nan)
    outside = np.where(seen, np.nan, expected)
    mean_in, mean_out = np.nanmean(inside, axis=0), np.nanmean(outside, axis=0)
    residual = expected - np.where(seen, mean_in, mean_out)
    # Two means a pair are estimated, and cost two degrees of freedom each.
    variance = (residual**2).sum() / (expected.size - 2 * expected.shape[1])
    deviation = torch.tensor(np.sqrt(variance))
    score = torch.from_numpy(own)
    ratio = Normal(torch.from_numpy(mean_in), deviation).log_prob(score)
    ratio -= Normal(torch.from_numpy(mean_out), deviation).log_prob(score)
    return ratio.numpy()


_SMOKE = PROFILES["smoke"]
TEST = AuditTest(
    name="lira",
    title="Membership, pair by pair",
    question="Does it treat a training picture as only a model that saw this very one would?",
    source="LiRA: Carlini et al. 2022 (2112.03570)",
    run=lira,
    metrics=(AUC, TPR),
    smoke={
        "shadows": LEAST_SHADOWS,
        # Shadows of half the length betray the original as well: its area is .98 with them.
        "train": TrainSpec(steps=_SMOKE["train_steps"] // 2, batch=_SMOKE["train_batch"]),
    },
    opt_in=True,
)
