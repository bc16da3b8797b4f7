"""Composition leaks: is the concept still recognised in scenes and in altered pictures?

Most evaluations of an erasure use pictures of one thing. A scene shows the concept smaller,
beside retained things, with a longer caption; a near-duplicate shows the same drawing
mirrored, in other colours, or as an outline. If the model recognises the concept there, the
erasure changed the response to the training pictures only.

Source: the Side Effect Evaluation (arXiv 2508.15124) prompts generators for the erased
concept in compositions and variants. We test CLIP: a scene's caption competes with copies of
itself in which the forgotten name is replaced, so the retained things give no hint.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean
from erasekit.data.drawn.redraw import LineWorld, samples_of
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import NOT_DRAWN, DrawingWorld, PairsWorld, drawing
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import by_concept, forgotten_singles, named_right, trained_concepts
from erasekit.evaluate.subsets import distinct_scenes
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features

SCENE = "scene"


def composition_leaks(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    scenes: int = 40,
) -> Result:
    """Recognise forgotten concepts in scenes and in near-duplicates of single pictures.

    Args:
        models, task, split, draws, seed: as in every audit test.
        scenes: maximum number of scenes with a forgotten concept; each shows a different
            set of concepts.

    Returns:
        Metrics from 0 to 1. ``in_scene``: how often the right English caption ranks above
        all captions with a retained concept in place of the forgotten one (condition
        ``scene``). ``near_duplicate``: top-1 on single pictures among all trained concepts
        (conditions ``mirrored``, ``recoloured``, ``outlined``). Details have the keys
        ``model``, ``condition``, ``concept`` and ``top1``.

    Raises:
        UsageError: for an unknown split.
    """
    world = task.world
    result = Result([])

    def add(
        model: str, metric: str, condition: str, right: np.ndarray, of: np.ndarray, chance: float
    ) -> None:
        estimate = estimate_mean(right, of, draws, seed)
        result.measures.append(Measure(model, metric, condition, estimate, chance))
        result.details.extend(
            {
                "model": model,
                "condition": condition,
                "concept": world.concept(index).name,
                "top1": value,
            }
            for index, value in by_concept(right, of).items()
        )

    captions: list[list[str]] = []
    of = rows = np.empty(0, dtype=np.int64)
    shown = world.pairs(split).scenes.where(task.touches)
    if isinstance(world, DrawingWorld):
        shown = distinct_scenes(shown, scenes)
        of, rows, captions = caption_choices(task, shown, split)
        if not captions:
            result.notes.append(f"No {split} scene shows a forgotten concept: none is asked about.")
    else:
        result.notes.append(NOT_DRAWN.format("Scenes and outlines"))
    chances = [1 / len(options) for options in captions]
    singles = forgotten_singles(task, split)
    pictures = near_duplicates(world, singles, split)
    for model, clip in models.items():
        if captions:
            right = first_of_choices(clip, shown.images[rows], captions)
            add(model, "in_scene", SCENE, right, of, float(np.mean(chances)))
        names = concept_features(clip, trained_concepts(world))
        for condition, images in pictures.items():
            features = clip.encode_images(images)
            right = named_right(features, names, singles.labels(), world.trained)
            add(model, "near_duplicate", condition, right, singles.labels(), 1 / len(names))
    return result


def caption_choices(
    task: ErasureTask, scenes: Pairs, split: str
) -> tuple[np.ndarray, np.ndarray, list[list[str]]]:
    """Build the candidate captions for each forgotten concept in each scene.

    Returns:
        The forgotten concept and the row of the scene, each of shape (n,), and n lists of
        English captions: the right one first, then one with each retained concept that is
        not in the scene in place of the forgotten one.
    """
    world = drawing(task.world, "composition_leaks")
    concepts, rows, captions = [], [], []
    for row, sample in enumerate(samples_of(world, scenes, split)):
        for place, forgotten in enumerate(sample.concepts):
            if forgotten not in task.forgotten:
                continue
            before, after = sample.concepts[:place], sample.concepts[place + 1 :]
            others = [index for index in task.retained if index not in sample.concepts]
            told = [replace(sample, concepts=(*before, i, *after)) for i in (forgotten, *others)]
            concepts.append(forgotten)
            rows.append(row)
            captions.append([world.caption(one, "en") for one in told])
    return np.array(concepts, dtype=np.int64), np.array(rows, dtype=np.int64), captions


def first_of_choices(clip: Clip, images: Tensor, captions: list[list[str]]) -> np.ndarray:
    """Return 1 where a picture is nearest to the first of its captions, else 0, shape (n,).

    A tie counts as a miss, so that a model with constant features scores 0.
    """
    texts = clip.encode_texts([text for options in captions for text in options])
    choices = texts.split([len(options) for options in captions])
    features = clip.encode_images(images)
    # Sum row by row: a matrix product rounds equal captions differently.
    similarity = [(own * image).sum(1) for image, own in zip(features, choices, strict=True)]
    return np.array([float((s[0] > s[1:]).all()) for s in similarity])


def near_duplicates(world: PairsWorld, singles: Pairs, split: str) -> dict[str, Tensor]:
    """Return altered versions of the pictures of `singles`, by condition.

    ``mirrored``: left and right swapped. ``recoloured``: red and green swapped, which keeps
    the distribution of backgrounds. ``outlined``: the same sample with only the black lines
    of its drawing; drawn worlds only.
    """
    images = singles.images[:]
    changed = {"mirrored": images.flip(3), "recoloured": images[:, [1, 0, 2]]}
    if isinstance(world, DrawingWorld):
        changed["outlined"] = LineWorld(world.spec).render(samples_of(world, singles, split))
    return changed


TEST = AuditTest(
    name="composition_leaks",
    title="Scenes and near-duplicates",
    question="Is the forgotten concept still recognised in scenes or when slightly altered?",
    source="Side Effect Evaluation (arXiv 2508.15124) for generators; here for CLIP",
    run=composition_leaks,
    metrics=(
        Metric("in_scene", "right name in a scene's caption", "remembered", if_original_knows=True),
        Metric(
            "near_duplicate", "near-duplicate named right", "remembered", if_original_knows=True
        ),
    ),
)
