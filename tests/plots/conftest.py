"""No picture of one test is left open for the next."""

from __future__ import annotations

import matplotlib
import pytest
from matplotlib import pyplot as plt


@pytest.fixture(autouse=True)
def close_figures():
    matplotlib.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def models(tiny_experiment, tiny_erasure):
    return {
        "original": tiny_experiment.original,
        "erased": tiny_erasure.model,
        "oracle": tiny_experiment.oracle,
    }
