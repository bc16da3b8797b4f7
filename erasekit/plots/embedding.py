"""Embedding shift: where pictures and names stood before erasing, and where they went.

Both models' features go into one fit, so that an arrow from before to after is a way
within one map. Two maps fitted apart could be turned and stretched against each other
at will, and an arrow between them would mean nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from erasekit.errors import UsageError
from erasekit.frames import records, where
from erasekit.models.zero_shot import concept_features
from erasekit.plots.style import FAINT, FORGOTTEN, WIDTH, concept_pixels, legend_above, styled

if TYPE_CHECKING:
    from torch import Tensor

    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.models.clip import Clip

Method = Literal["tsne", "pca"]
MODALITIES = ("picture", "name")


def embedding_shift_data(
    experiment: Experiment, before: Clip, after: Clip, method: Method = "tsne", seed: int = 0
) -> pd.DataFrame:
    """Every trained concept's picture and name in one plane, before and after.

    A concept's picture is the mean image feature of its test pictures, its name the
    mean text feature of its prompts, both normalised.

    Args:
        experiment: gives the world and the task.
        before, after: two models with features of equal width.
        method: ``tsne`` keeps neighbours together, ``pca`` keeps directions and lengths.
        seed: of t-SNE, which starts from PCA and gives the same map each time.

    Returns:
        a row for each concept and modality: concept (index), name, modality (picture or
        name), forgotten, x0, y0 (before), x1, y1 (after), similarity (of the two
        features, −1 to 1). Without unit: in t-SNE only nearness has a meaning.

    Raises:
        UsageError: for an unknown method.
    """
    if method not in get_args(Method):
        raise UsageError(f"method = '{method}': choose tsne or pca")
    old, new = _centres(experiment, before), _centres(experiment, after)
    plane = _project(np.concatenate([old, new]), method, seed)
    start, end = plane[: len(old)], plane[len(old) :]
    world, trained = experiment.world, _shown(experiment)
    concepts = [world.concept(i) for _ in MODALITIES for i in trained]
    return pd.DataFrame(
        {
            "concept": [c.index for c in concepts],
            "name": [c.name for c in concepts],
            "modality": np.repeat(MODALITIES, len(trained)),
            "forgotten": [c.index in experiment.task.forgotten for c in concepts],
            "x0": start[:, 0],
            "y0": start[:, 1],
            "x1": end[:, 0],
            "y1": end[:, 1],
            "similarity": (old * new).sum(1),
        }
    )


def _centres(experiment: Experiment, clip: Clip) -> np.ndarray:
    """Normalised features, first of each concept's pictures, then of its name, (2c, d)."""
    world = experiment.world
    singles = experiment.task.judged("test").singles
    image, labels = clip.encode_images(singles.images), singles.labels()
    trained = _shown(experiment)
    pictures = [image[np.flatnonzero(labels == i)].mean(0) for i in trained]
    names: Tensor = concept_features(clip, [world.concept(i) for i in trained])
    stacked = np.stack([F.normalize(p, dim=0).numpy() for p in pictures])
    return np.concatenate([stacked, names.numpy()])


def _shown(experiment: Experiment) -> list[int]:
    """The trained concepts that have test pictures."""
    there = set(experiment.task.judged("test").singles.labels().tolist())
    return [i for i in experiment.world.trained if i in there]


def _project(features: np.ndarray, method: Method, seed: int) -> np.ndarray:
    if method == "pca":
        from sklearn.decomposition import PCA

        return PCA(2, svd_solver="full").fit_transform(features)
    perplexity = min(15.0, (len(features) - 1) / 3)
    from sklearn.manifold import TSNE

    return TSNE(2, init="pca", random_state=seed, perplexity=perplexity).fit_transform(features)


@styled
def embedding_shift(
    experiment: Experiment, before: Clip, after: Clip, method: Method = "tsne", seed: int = 0
) -> Figure:
    """Two panels of one map, pictures and names: an arrow from before to after for each concept.

    The drawing stands where the concept is after; the forgotten ones are framed and named.

    Args:
        experiment: gives the world and the task.
        before, after: two models with features of equal width.
        method: tsne or pca, see `embedding_shift_data`.
        seed: of t-SNE.
    """
    data = embedding_shift_data(experiment, before, after, method, seed)
    figure, grid = plt.subplots(1, 2, figsize=(WIDTH, 5.2), sharex=True, sharey=True)
    zoom = 0.28 if len(data) > 80 else 0.38
    for axes, modality, title in zip(
        grid, MODALITIES, ("pictures (images)", "names (texts)"), strict=True
    ):
        part = where(data, modality=modality).sort_values("forgotten")
        for line in records(part):
            _draw_shift(axes, line, concept_pixels(experiment.task, int(line.concept)), zoom)
        axes.set_title(title)
        axes.set(xticks=[], yticks=[])
        axes.set_xlabel({"tsne": "t-SNE 1", "pca": "first principal component"}[method])
    grid[0].set_ylabel({"tsne": "t-SNE 2", "pca": "second principal component"}[method])
    for axes in grid:
        axes.margins(0.1)
        axes.autoscale_view()
    handles = [
        Line2D([], [], marker="o", color=FAINT, linestyle="none", markersize=5),
        Line2D([], [], color=FAINT, linewidth=1.2),
        Line2D([], [], color=FORGOTTEN, linewidth=2.6),
    ]
    legend_above(
        figure, handles, ["before", "move of a retained concept", "move of a forgotten one"], 3
    )
    return figure


def _draw_shift(axes: Axes, line: Any, pixels: np.ndarray, zoom: float) -> None:
    forgotten = bool(line.forgotten)
    colour, order = (FORGOTTEN, 4) if forgotten else (FAINT, 2)
    axes.update_datalim([(line.x0, line.y0), (line.x1, line.y1)])
    axes.plot(
        line.x0,
        line.y0,
        "o",
        color=colour,
        markersize=8 if forgotten else 4,
        markeredgecolor="white",
        markeredgewidth=0.6,
        zorder=order,
    )
    axes.annotate(
        "",
        xy=(line.x1, line.y1),
        xytext=(line.x0, line.y0),
        arrowprops={
            "arrowstyle": "-|>,head_length=0.5,head_width=0.25" if forgotten else "-",
            "color": colour,
            "linewidth": 2.4 if forgotten else 1,
            "alpha": 1 if forgotten else 0.7,
            "shrinkA": 0,
            "shrinkB": 32 * zoom + 2 if forgotten else 0,
        },
        zorder=order,
    )
    box = {"edgecolor": FORGOTTEN, "linewidth": 2.2, "boxstyle": "round,pad=0.1"}
    image = OffsetImage(pixels, zoom=zoom, interpolation="hanning", resample=True)
    axes.add_artist(
        AnnotationBbox(
            image,
            (line.x1, line.y1),
            frameon=forgotten,
            pad=0.05,
            bboxprops=box if forgotten else None,
            zorder=order + 1,
        )
    )
