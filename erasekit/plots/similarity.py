"""Similarity of pictures and names: its distribution, and its matrix over concepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle

from erasekit.evaluate.membership_auc import pair_similarity
from erasekit.evaluate.subsets import SUBSETS, make_subsets
from erasekit.frames import where
from erasekit.models.zero_shot import concept_features
from erasekit.plots.style import FAINT, FORGOTTEN, INK, WIDTH, concept_pixels, model_mark, styled

if TYPE_CHECKING:
    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.models.clip import Clip

#: Concepts that a matrix shows at most, unless more are to be forgotten.
MOST_CONCEPTS = 16


def similarity_distributions_data(
    experiment: Experiment, models: Mapping[str, Clip]
) -> pd.DataFrame:
    """Similarity of each test picture of one concept with that concept's name.

    Where pictures have no names it is that with their captions.

    Args:
        experiment: gives the world, the task and, by the original, the neighbours.
        models: by name.

    Returns:
        columns model, subset, concept (its name), similarity (−1 to 1). Neighbours are
        among the retained too, as in the scorecard, whose means these are.
    """
    if not experiment.task.named:
        return _with_captions(experiment, models)
    subsets = make_subsets(experiment.original, experiment.task)
    world, labels = experiment.world, subsets.singles.labels()
    parts = []
    for name, clip in models.items():
        image = clip.encode_images(subsets.singles.images)
        own = concept_features(clip, world.concepts)[labels]
        similarity = (image * own).sum(1).numpy()
        for subset in subsets.concepts:
            rows = subsets.rows(subset)
            parts.append(
                pd.DataFrame(
                    {
                        "model": name,
                        "subset": subset,
                        "concept": [world.concept(i).name for i in labels[rows]],
                        "similarity": similarity[rows],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _with_captions(experiment: Experiment, models: Mapping[str, Clip]) -> pd.DataFrame:
    task, test = experiment.task, experiment.task.judged("test")
    parts = []
    for name, clip in models.items():
        for subset, pairs in (
            ("forget", test.where(task.touches)),
            ("retain", test.where(lambda shown: not task.touches(shown))),
        ):
            values = pair_similarity(clip, pairs)
            line = {"model": name, "subset": subset, "concept": "", "similarity": values}
            parts.append(pd.DataFrame(line))
    return pd.concat(parts, ignore_index=True)


@styled
def similarity_distributions(experiment: Experiment, models: Mapping[str, Clip]) -> Figure:
    """How near test pictures are to their own names: a panel a subset, a row a model.

    The box holds the middle half, the line in it is the median, each dot is a picture.

    Args:
        experiment: gives the world and the task.
        models: by name, in the order to show.
    """
    data, names = similarity_distributions_data(experiment, models), list(models)
    subsets = [subset for subset in SUBSETS if subset in set(data["subset"])]
    figure, grid = plt.subplots(
        len(subsets),
        1,
        figsize=(WIDTH, 1.1 + 0.34 * len(subsets) * (len(names) + 1.1)),
        sharex=True,
    )
    jitter = np.random.default_rng(0)
    for axes, subset in zip(grid, subsets, strict=True):
        part = where(data, subset=subset)
        for place, name in enumerate(names):
            values = where(part, model=name)["similarity"].to_numpy()
            mark = model_mark(name, names)
            axes.scatter(
                values,
                place + jitter.uniform(-0.26, 0.26, len(values)),
                s=9,
                color=mark.colour,
                alpha=min(0.55, 40 / max(len(values), 1) + 0.12),
                linewidth=0,
                zorder=2,
            )
            axes.boxplot(
                values,
                positions=[place],
                orientation="horizontal",
                widths=0.62,
                showfliers=False,
                manage_ticks=False,
                patch_artist=True,
                boxprops={"facecolor": "none", "edgecolor": mark.colour, "linewidth": 1.6},
                whiskerprops={"color": mark.colour, "linewidth": 1.2},
                capprops={"color": mark.colour, "linewidth": 1.2},
                medianprops={"color": INK, "linewidth": 2.4},
                zorder=3,
            )
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.axvline(0, color=FAINT, linewidth=1, zorder=1)
        axes.set_title(subset, fontsize=12)
    grid[-1].set_xlim(-1.05, 1.05)
    own = "name" if experiment.task.named else "caption"
    grid[-1].set_xlabel(f"similarity of a test picture with its own {own} (cosine)")
    return figure


def matrix_concepts(experiment: Experiment, most: int = MOST_CONCEPTS) -> list[int]:
    """The concepts a matrix shows: the forgotten, their neighbours, then others evenly.

    Args:
        most: how many; the forgotten and their neighbours are shown in any case.
    """
    subsets = make_subsets(experiment.original, experiment.task)
    there = set(subsets.singles.labels().tolist())
    # A subset without pictures is not in `subsets`.
    of = {name: [i for i in subsets.concepts.get(name, ()) if i in there] for name in SUBSETS}
    first = [*of["forget"], *of["neighbours"]]
    others = [i for i in of["retain"] if i not in first]
    room = min(max(0, most - len(first)), len(others))
    evenly = np.linspace(0, len(others) - 1, room).round().astype(int) if room else []
    return first + [others[i] for i in evenly]


def similarity_matrix_data(
    experiment: Experiment, models: Mapping[str, Clip], most: int = MOST_CONCEPTS
) -> dict[str, pd.DataFrame]:
    """Mean similarity of each concept's test pictures with each concept's name.

    Returns:
        by model a table: rows are pictures of a concept, columns names, both in the
        order of `matrix_concepts`, the forgotten first; values from −1 to 1.
    """
    world, shown = experiment.world, matrix_concepts(experiment, most)
    singles = experiment.task.judged("test").singles
    singles = singles.where(lambda concepts: concepts[0] in set(shown))
    labels, names = singles.labels(), [world.concept(i).name for i in shown]
    tables = {}
    for model, clip in models.items():
        text = concept_features(clip, [world.concept(i) for i in shown])
        similarity = (clip.encode_images(singles.images) @ text.T).numpy()
        means = [similarity[labels == i].mean(0) for i in shown]
        tables[model] = pd.DataFrame(np.stack(means), index=names, columns=names)
    return tables


@styled
def similarity_matrix(
    experiment: Experiment, models: Mapping[str, Clip], most: int = MOST_CONCEPTS
) -> Figure:
    """Pictures (rows) against names (columns), a heat map a model; the forgotten are boxed.

    Args:
        experiment: gives the world and the task.
        models: by name, in the order to show.
        most: concepts to show, see `matrix_concepts`.
    """
    tables = similarity_matrix_data(experiment, models, most)
    shown = matrix_concepts(experiment, most)
    forgotten = sum(experiment.task.touches((i,)) for i in shown)
    panel = min(WIDTH / len(tables), 5.2)
    figure, grid = plt.subplots(
        1, len(tables), figsize=(panel * len(tables), panel + 1.75), squeeze=False
    )
    image = None
    for axes, (model, table) in zip(grid[0], tables.items(), strict=True):
        image = axes.imshow(table, vmin=-1, vmax=1, cmap=_COLOURS, aspect="equal")
        axes.grid(False)
        axes.set_title(model)
        axes.set_xticks(
            range(len(table)),
            list(table.columns),
            rotation=90,
            fontsize=max(8.5, min(11, 24 * panel / len(table))),
        )
        axes.set_yticks([])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        side = 72 * 0.8 * panel / len(table)  # of a drawing, in points
        for row, concept in enumerate(shown):
            drawn = concept_pixels(experiment.task, concept, 48)
            axes.add_artist(
                AnnotationBbox(
                    OffsetImage(drawn, zoom=side / 48, interpolation="hanning", resample=True),
                    (-0.5, row),
                    xybox=(-side / 2 - 3, 0),
                    boxcoords="offset points",
                    frameon=False,
                    pad=0,
                )
            )
        for box in (
            ((-0.5, -0.5), forgotten, len(table)),
            ((-0.5, -0.5), len(table), forgotten),
        ):
            axes.add_patch(
                Rectangle(*box, fill=False, edgecolor=FORGOTTEN, linewidth=2.2, clip_on=False)
            )
        for tick in axes.get_xticklabels()[:forgotten]:
            tick.set(fontweight="bold")
    assert image is not None
    bar = figure.colorbar(image, ax=grid[0], location="top", shrink=0.45, aspect=30, pad=0.02)
    bar.set_label("similarity of pictures (rows) with names (columns)", fontsize=10.5)
    bar.set_ticks([-1, 0, 1])
    bar.ax.tick_params(labelsize=10, length=0)
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


# Blue to red over white, which red-green blindness does not confuse; 0 is white.
_COLOURS = sns.color_palette("vlag", as_cmap=True)
