"""Classifiers that are fitted on a model's features, to find out what can be read from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import Pipeline

#: How many of the nearest training pictures vote.
NEIGHBOURS = 5


def fit_linear(features: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Logistic regression on standardised features, regularised as scikit-learn's default.

    Args:
        features: shape (n, d).
        labels: the concept of each, shape (n,).
    """
    # scikit-learn takes a second to import, and most runs never probe.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    # Its matrices are small: threads that wait for each other made it twenty times slower.
    with threadpool_limits(1, user_api="blas"):
        return classifier.fit(features, labels)


def fit_nearest(features: np.ndarray, labels: np.ndarray) -> KNeighborsClassifier:
    """A vote of the nearest by cosine, see `fit_linear`."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(NEIGHBOURS, metric="cosine").fit(features, labels)
