"""A likelihood-ratio membership attack (LiRA) with shadow models.

An easy pair scores high whether it was seen or not. Shadow models, half of which saw the
pair, give its expected score in both cases; the attack compares which of the two explains
the audited model's score better.
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

#: A variance needs, for each pair, two shadows that saw it and two that did not.
LEAST_SHADOWS = 4
#: Keeps shadows' seeds apart from those of the original and the oracles, which are small.
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
    """Separate training pairs of the forget set from unseen pairs by their likelihood ratio.

    Each shadow is trained from scratch for as long as the original: minutes per shadow in
    the default profile. Shadows are cached, so a second run trains nothing.

    Args:
        models: models to test; the shadows are trained on the original's device.
        task: the erasure task: its retain set, which every shadow sees, and its pool of pairs.
        split: source of the pool's unseen pairs.
        draws: draws of the bootstrap over forgotten concepts.
        seed: seed of the bootstrap and of the assignment of pairs to shadows.
        shadows: number of shadows; each pair of the pool is in half of them.
        train, precision: recipe of a shadow; should equal the original's.

    Returns:
        ``auc`` and ``tpr_at_1_fpr``, as in `audit.membership` but by the log likelihood
        ratio. Details are the points of the ROC curve: ``model``, ``condition`` (empty),
        ``fpr`` and ``tpr``.

    Raises:
        UsageError: for fewer than `LEAST_SHADOWS` shadows.

    Source: Carlini et al. 2022 (2112.03570), the online attack. Ours differs in three ways:
    the score is the pair's similarity, not the confidence in a label; the pool contains
    only pairs of the forget set's kind, and every shadow sees the retain set; the variance
    is always pooled over pairs and both cases (theirs only with few shadows, and over
    examples), so that the ratio increases with the score.
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
            # Positions count within a split; the list ends with `len(others)` pairs of this one.
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
    """Assign each pair to exactly half of the shadows (rounded down).

    Returns:
        Bool, shape (shadows, pairs).
    """
    order = np.random.default_rng(seed).random((shadows, pairs)).argsort(axis=0)
    return order < shadows // 2


def unbounded(similarity: np.ndarray) -> np.ndarray:
    """Apply Fisher's transform (artanh) to a cosine, since a Gaussian is unbounded."""
    return np.arctanh(np.clip(similarity, -1 + 1e-6, 1 - 1e-6))


def log_likelihood_ratio(own: np.ndarray, expected: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return log p(score | seen) − log p(score | unseen) for each pair, shape (n,).

    Each pair has one mean over the shadows that saw it and one over the others; one variance
    is shared by all. With separate variances, a score far below both means, as after
    over-forgetting, would favour the wider case.

    Args:
        own: scores by the audited model, shape (n,).
        expected: scores by each shadow, shape (shadows, n).
        seen: which shadow saw which pair, shape (shadows, n).
    """
    inside = np.where(seen, expected, np.nan)
    outside = np.where(seen, np.nan, expected)
    mean_in, mean_out = np.nanmean(inside, axis=0), np.nanmean(outside, axis=0)
    residual = expected - np.where(seen, mean_in, mean_out)
    # Two estimated means cost two degrees of freedom per pair.
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
    question="Can it be shown, pair by pair, that the model was trained on a picture?",
    source="LiRA: Carlini et al. 2022 (2112.03570)",
    run=lira,
    metrics=(AUC, TPR),
    smoke={
        "shadows": LEAST_SHADOWS,
        # Shadows trained half as long suffice: the original's AUC with them is 0.98.
        "train": TrainSpec(steps=_SMOKE["train_steps"] // 2, batch=_SMOKE["train_batch"]),
    },
    opt_in=True,
)
