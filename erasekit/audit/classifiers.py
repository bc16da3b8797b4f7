"""Classifiers that probe a model's features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import Pipeline

#: Number of nearest training pictures that vote.
NEIGHBOURS = 5


def fit_linear(features: np.ndarray, labels: np.ndarray) -> Pipeline:
    """Fit logistic regression on standardised features, with scikit-learn's regularisation.

    Args:
        features: features, shape (n, d).
        labels: concept of each row, shape (n,).
    """
    # Importing scikit-learn takes a second, and most runs never probe.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    # The matrices are small: with several threads, fitting was twenty times slower.
    with threadpool_limits(1, user_api="blas"):
        return classifier.fit(features, labels)


def fit_nearest(features: np.ndarray, labels: np.ndarray) -> KNeighborsClassifier:
    """Fit a nearest-neighbour classifier by cosine; arguments as in `fit_linear`."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(NEIGHBOURS, metric="cosine").fit(features, labels)
