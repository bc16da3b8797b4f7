"""Classifiers are what they say."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from erasekit.audit.classifiers import fit_linear


def test_the_linear_probe_is_logistic_regression_on_standardised_features():
    rng = np.random.default_rng(0)
    labels = np.repeat([3, 5, 8], 20)
    features = rng.normal(size=(60, 4)) * [1, 10, 100, 1] + labels[:, None]
    plain = (features - features.mean(0)) / features.std(0)
    expected = LogisticRegression(C=1.0, max_iter=1000).fit(plain, labels).predict_proba(plain)
    found = fit_linear(features, labels).predict_proba(features)
    np.testing.assert_allclose(found, expected, atol=1e-6)
