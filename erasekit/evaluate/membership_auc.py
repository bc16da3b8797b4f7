"""Membership inference: whether a model's similarities reveal its training pairs."""

from __future__ import annotations

import numpy as np

from erasekit.data.pairs import Pairs
from erasekit.evaluate.bootstrap import interval
from erasekit.models.clip import Clip


def pair_similarity(clip: Clip, pairs: Pairs) -> np.ndarray:
    """Cosine similarity of each picture with its own caption, shape (n,)."""
    image = clip.encode_images(pairs.images)
    return (image * clip.encode_texts(pairs.captions)).sum(1).numpy()


def membership_auc(members: np.ndarray, others: np.ndarray) -> float:
    """AUC of separating members from others by a score; 0.5 is chance.

    Below 0.5, members score lower than unseen pairs, which reveals them too and indicates
    over-forgetting.

    Args:
        members, others: scores of training pairs and of unseen pairs.

    Source: Yeom et al. 2018, threshold attack, with the pair's similarity in place of the loss.
    """
    # The share of (member, other) couples in the right order, with ties counted as half. It
    # equals roc_auc_score and is many times faster, which matters in a bootstrap.
    order = np.sort(others)
    below, up_to = (np.searchsorted(order, members, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(others)))


def membership_interval(
    members: np.ndarray, others: np.ndarray, draws: int
) -> tuple[float, float, float]:
    """The AUC with a 95 % interval, by resampling the pairs of the two sets apart.

    Returns:
        value, low, high.
    """
    scores, rng = (members, others), np.random.default_rng(0)
    drawn = [
        membership_auc(*(s[rng.integers(0, len(s), len(s))] for s in scores))
        for _ in range(min(draws, 200))
    ]
    return membership_auc(*scores), *interval(np.array(drawn))
