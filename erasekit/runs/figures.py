"""Figures of a run folder and their file names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt

from erasekit import plots
from erasekit.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from erasekit.evaluate.scorecard import Scorecard
    from erasekit.unlearn.engine import Erasure

DPI = 150


def write_figures(
    folder: Path,
    experiment: Any,
    models: Mapping[str, Any],
    erasure: Erasure,
    scorecard: Scorecard,
) -> list[Path]:
    """Write every figure of a run to `folder` as PNG.

    Args:
        folder: target folder.
        models: models by name, including ``original`` and ``erased``.
        erasure: the erasure, with its history and its mask, if any.

    Raises:
        RunError: when the folder cannot be written.
    """
    shown = {name: models[name] for name in ("original", "erased", "oracle") if name in models}
    own = _of_language if experiment.kind == "language" else _of_clip
    makers = {
        "forget_retain": lambda: plots.forget_retain(scorecard),
        **own(experiment, shown, erasure, scorecard),
        "loss_terms": lambda: plots.loss_terms(erasure.history),
    }
    return [save_figure(make(), folder / f"{name}.png") for name, make in makers.items()]


def _of_clip(
    experiment: Any, models: Mapping[str, Any], erasure: Erasure, scorecard: Scorecard
) -> dict[str, Callable[[], Figure]]:
    before, after = models["original"], models["erased"]
    named = {
        "similarity_matrix": lambda: plots.similarity_matrix(experiment, models),
        "embedding_shift": lambda: plots.embedding_shift(experiment, before, after),
        "retrieval_gallery": lambda: plots.retrieval_gallery(experiment, before, after),
    }
    return {
        "scorecard_bars": lambda: plots.scorecard_bars(scorecard),
        "similarity_distributions": lambda: plots.similarity_distributions(experiment, models),
        **(named if experiment.task.named else {}),
    }


def _of_language(
    experiment: Any, models: Mapping[str, Any], erasure: Erasure, scorecard: Scorecard
) -> dict[str, Callable[[], Figure]]:
    from erasekit.plots import language

    asked = experiment.task.examples()
    return {
        "seen_and_known": lambda: language.seen_and_known(scorecard),
        "answers": lambda: language.answers_gallery(asked, models),
        **({"mask": lambda: language.mask_map(erasure.mask)} if erasure.mask else {}),
    }


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure atomically as PNG, and close it."""
    layout = figure.get_layout_engine()
    if layout is not None:  # lay out once; matplotlib would lay it out and draw it again
        figure.set_dpi(DPI)
        layout.execute(figure)
        figure.set_layout_engine(None)
    try:
        return write_whole(path, lambda aside: figure.savefig(aside, dpi=DPI, format="png"))
    finally:
        plt.close(figure)
