"""Membership: does a model betray which pairs it was trained on?"""

from __future__ import annotations

import numpy as np

from erasekit.data.pairs import Pairs
from erasekit.models.clip import Clip


def pair_similarity(clip: Clip, pairs: Pairs) -> np.ndarray:
    """Similarity of each picture with its own caption, from −1 to 1, shape (n,)."""
    image = clip.encode_images(pairs.images)
    return (image * clip.encode_texts(pairs.captions)).sum(1).numpy()


def membership_auc(members: np.ndarray, others: np.ndarray) -> float:
    """AUC of telling members from others by a score: 0.5 is a guess.

    Below 0.5 members score lower than pairs never seen, which betrays them as well:
    it is the mark of over-forgetting.

    Args:
        members, others: scores of training pairs and of unseen pairs.

    Source: Yeom et al. 2018, the threshold attack, with the pair's similarity for the loss.
    """
    # The share of couples that are ranked right, ties counting half: what roc_auc_score
    # gives, many times faster, which matters in a bootstrap.
    order = np.sort(others)
    below, up_to = (np.searchsorted(order, members, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(others)))
