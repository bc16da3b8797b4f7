"""Retrieval gallery: a text query and the pictures it finds, before and after erasing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from erasekit.data.drawn.concepts import match_concepts
from erasekit.evaluate.subsets import neighbours
from erasekit.frames import records, where
from erasekit.models.zero_shot import concept_features
from erasekit.plots.style import FAINT, RIGHT, WIDTH, frame, show_picture, styled

if TYPE_CHECKING:
    from erasekit.experiment.clip_experiment import Experiment
    from erasekit.models.clip import Clip

#: Pictures that a query brings back.
DEPTH = 5


def gallery_queries(experiment: Experiment, queries: int | Sequence[str] = 3) -> list[int]:
    """The concepts asked for: forgotten ones, and last a neighbour that should have stayed.

    Args:
        queries: how many, or the names of trained concepts.

    Raises:
        UsageError: for a name that is not known, with the nearest that is.
    """
    if not isinstance(queries, int):
        trained = [experiment.world.concept(i) for i in experiment.world.trained]
        return [i for name in queries for i in match_concepts(trained, [name])]
    there = set(experiment.task.judged("test").singles.labels().tolist())
    forgotten = [i for i in experiment.task.forgotten if i in there][: max(1, queries - 1)]
    near = neighbours(experiment.original, experiment.task)
    return (forgotten + list(near))[: max(1, queries)]


def retrieval_gallery_data(
    experiment: Experiment, before: Clip, after: Clip, queries: int | Sequence[str] = 3
) -> pd.DataFrame:
    """The test pictures of one concept that each query finds first.

    Args:
        experiment: gives the world and the task.
        before, after: the two models asked.
        queries: how many, or names, see `gallery_queries`.

    Returns:
        columns query (concept index), name, forgotten, when (before or after), rank
        (1 is first), row (of the test split's singles), shows (name of what is on it),
        right (whether that is what was asked for), similarity (−1 to 1).
    """
    world = experiment.world
    trained = set(world.trained)
    pool = experiment.task.judged("test").singles.where(lambda concepts: concepts[0] in trained)
    labels, asked = pool.labels(), gallery_queries(experiment, queries)
    lines = []
    for when, clip in (("before", before), ("after", after)):
        text = concept_features(clip, [world.concept(i) for i in asked])
        similarity = text @ clip.encode_images(pool.images).T
        # A stable order, so that ties come out the same each time.
        order = torch.argsort(similarity, dim=1, descending=True, stable=True)[:, :DEPTH]
        for query, found, values in zip(asked, order, similarity, strict=True):
            for rank, row in enumerate(found.tolist(), start=1):
                lines.append(
                    {
                        "query": query,
                        "name": world.concept(query).name,
                        "forgotten": query in experiment.task.forgotten,
                        "when": when,
                        "rank": rank,
                        "row": row,
                        "shows": world.concept(int(labels[row])).name,
                        "right": bool(labels[row] == query),
                        "similarity": float(values[row]),
                    }
                )
    return pd.DataFrame(lines)


@styled
def retrieval_gallery(
    experiment: Experiment, before: Clip, after: Clip, queries: int | Sequence[str] = 3
) -> Figure:
    """Each query's top five before and after; right ones in a thick frame with a tick.

    Args:
        experiment: gives the world and the task.
        before, after: the two models asked.
        queries: how many, or names, see `gallery_queries`.
    """
    data = retrieval_gallery_data(experiment, before, after, queries)
    trained = set(experiment.world.trained)
    pool = experiment.task.judged("test").singles.where(lambda c: c[0] in trained)
    asked = list(dict.fromkeys(data["query"]))
    figure = plt.figure(figsize=(WIDTH, 2.55 * len(asked)))
    parts = figure.subfigures(len(asked), 1, squeeze=False)[:, 0]
    for part, query in zip(parts, asked, strict=True):
        own = where(data, query=query)
        first = own.iloc[0]
        fate = "to be forgotten" if first["forgotten"] else "to be kept"
        part.suptitle(
            f"“{first['name']}”  ({fate})", x=0.01, ha="left", fontsize=12.5, fontweight="bold"
        )
        grid = part.subplots(2, DEPTH + 1, width_ratios=[0.55] + [1] * DEPTH)
        for axes in grid.flat:
            axes.set_axis_off()
        for line_of, when in zip(grid, ("before", "after"), strict=True):
            line_of[0].text(
                1, 0.5, when, ha="right", va="center", fontsize=11.5, transform=line_of[0].transAxes
            )
            for axes, found in zip(line_of[1:], records(where(own, when=when)), strict=False):
                axes.set_axis_on()
                show_picture(axes, pool.images[found.row].permute(1, 2, 0).numpy())
                if found.right:
                    frame(axes, RIGHT, 4)
                else:
                    frame(axes, FAINT, 1.2, ":")
                axes.text(
                    1.06,
                    0.5,
                    "✓" if found.right else "✗",
                    transform=axes.transAxes,
                    color=RIGHT if found.right else FAINT,
                    va="center",
                    fontsize=13,
                )
    return figure
