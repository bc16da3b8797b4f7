"""Fixtures of the audit's tests: one set of models, one small audit."""

from __future__ import annotations

import pytest

from erasekit.audit.audit_result import Audit


@pytest.fixture(scope="session")
def models(tiny_experiment, tiny_erasure) -> dict:
    """What every audit test measures: an original, an erased model and an oracle."""
    return {
        "original": tiny_experiment.original,
        "erased": tiny_erasure.model,
        "oracle": tiny_experiment.oracle,
    }


@pytest.fixture(scope="session")
def small(tiny_experiment, tiny_erasure) -> Audit:
    """An audit by two tests, with two oracles."""
    tests = ["prompt_leaks", "over_forgetting"]
    return tiny_experiment.audit(tiny_erasure.model, tests=tests, oracles=2)
