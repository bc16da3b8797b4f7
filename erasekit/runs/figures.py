"""The pictures of a run folder: which there are, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from erasekit import plots
from erasekit.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from erasekit.evaluate.scorecard import Scorecard
    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.models.clip import Clip

DPI = 150


def write_figures(
    folder: Path,
    experiment: Experiment,
    models: Mapping[str, Clip],
    history: list[dict[str, float]],
    scorecard: Scorecard,
) -> list[Path]:
    """Draw every picture of a run into `folder` as PNG.

    Args:
        folder: receives the pictures.
        models: by name; ``original`` and ``erased`` must be among them.
        history: one row a step of the erasure.

    Raises:
        RunError: when the folder cannot be written.
    """
    before, after = models["original"], models["erased"]
    shown = {name: models[name] for name in ("original", "erased", "oracle") if name in models}
    named = {
        "similarity_matrix": lambda: plots.similarity_matrix(experiment, shown),
        "embedding_shift": lambda: plots.embedding_shift(experiment, before, after),
        "retrieval_gallery": lambda: plots.retrieval_gallery(experiment, before, after),
    }
    makers = {
        "forget_retain": lambda: plots.forget_retain(scorecard),
        "scorecard_bars": lambda: plots.scorecard_bars(scorecard),
        "similarity_distributions": lambda: plots.similarity_distributions(experiment, shown),
        **(named if experiment.task.named else {}),
        "loss_terms": lambda: plots.loss_terms(history),
    }
    return [save_figure(make(), folder / f"{name}.png") for name, make in makers.items()]


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all, and close it."""
    layout = figure.get_layout_engine()
    if layout is not None:  # once; matplotlib would lay it out and draw it a second time
        figure.set_dpi(DPI)
        layout.execute(figure)
        figure.set_layout_engine(None)
    try:
        return write_whole(path, lambda aside: figure.savefig(aside, dpi=DPI, format="png"))
    finally:
        plt.close(figure)
