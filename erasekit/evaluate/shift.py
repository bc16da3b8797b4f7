"""How far an erasure moves features, measured in the full embedding space."""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import Tensor

from erasekit.data.task import ErasureTask
from erasekit.evaluate.naming import trained_singles
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features


def former_self(before: Clip, after: Clip, task: ErasureTask, split: str = "test") -> pd.DataFrame:
    """Mean cosine of each picture and each name with its own feature before erasing.

    Args:
        before, after: the model before and after erasing.
        task: gives the forgotten concepts; its world gives pictures and names.
        split: split of the single-concept pictures.

    Returns:
        rows ``pictures`` and ``names``, columns ``forgotten`` and ``retained``. 1 means
        unchanged, −1 reversed.
    """
    pairs = trained_singles(task.world, split)
    trained = task.world.trained
    concepts = [task.world.concept(i) for i in trained]
    lines = {
        "pictures": (
            _cosine(before.encode_images(pairs.images), after.encode_images(pairs.images)),
            pairs.labels(),
        ),
        "names": (
            _cosine(concept_features(before, concepts), concept_features(after, concepts)),
            np.array(trained),
        ),
    }
    found = {}
    for line, (kept, of) in lines.items():
        gone = np.isin(of, task.forgotten)
        found[line] = {
            "forgotten": float(kept[gone].mean()),
            "retained": float(kept[~gone].mean()),
        }
    return pd.DataFrame(found).T


def _cosine(before: Tensor, after: Tensor) -> np.ndarray:
    return (before * after).sum(1).numpy()
