"""Over-forgetting: what else did the erasure damage, and which concepts most?

An erasure that pushes all pairs apart also forgets. The damage shows in the similarity of
pictures and names that should not change: neighbours of the forgotten concepts, retained
concepts, and concepts that no model ever saw. Means hide individual losses, so the concepts
that lost most are listed by name.

Source: over-generalised forgetting in SALMUBench (arXiv 2603.26316), by the similarity of
near and far holdouts. We compare every subset with the oracle's similarity; the list of the
largest losses is chosen on validation pictures and measured on others. Every model has a list of
its own: what an innocent model lost most is then compared with what oracles lost most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean, is_oracle
from erasekit.audit.names import AUDITED, ORIGINAL
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import by_concept
from erasekit.evaluate.subsets import make_subsets
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features


def over_forgetting(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    most: int = 10,
) -> Result:
    """Measure the similarity of pictures with their names, and list the largest losses.

    A model's list holds the retained concepts whose top-1 (for ties: whose similarity) fell
    furthest from the original to that model on validation pictures. The original, which lost
    nothing, is measured on the audited model's list.

    Args:
        models, task, split, draws, seed: as in every audit test.
        most: length of a list; at most half of the retained concepts.

    Returns:
        Metrics ``similarity`` (conditions neighbours, retain, holdout) and
        ``forget_similarity``, from −1 to 1, and ``collateral_top1``, top-1 on the pictures
        of the listed concepts among all trained ones, 0 to 1. Details have one record per
        listed concept, worst first: ``concept``, ``group``, its top-1 by the ``original``,
        the ``erased`` and the ``oracle`` (mean of the oracles, None without any) and the
        loss from original to erased, ``lost``, all on `split`; the same for similarity
        with the suffix ``_similarity``.

    Raises:
        UsageError: for an unknown split.
    """
    subsets = make_subsets(models[ORIGINAL], task, split)
    pictures = {model: own_names(clip, task, split) for model, clip in models.items()}
    result = Result([])

    def add(metric: str, condition: str, column: str, concepts: Sequence[int]) -> None:
        for model, of in pictures.items():
            rows = np.isin(of["concept"], concepts)
            if not rows.any():  # a folder has no holdout
                continue
            estimate = estimate_mean(of[column][rows], of["concept"][rows], draws, seed)
            result.measures.append(Measure(model, metric, condition, estimate))

    for subset in ("neighbours", "retain", "holdout"):
        add("similarity", subset, "similarity", subsets.concepts.get(subset, ()))
    add("forget_similarity", "", "similarity", subsets.concepts["forget"])
    lists = lost_most(models, task, most)
    for model, listed in lists.items():
        of = pictures[model]
        rows = np.isin(of["concept"], listed)
        if rows.any():  # a small folder may lack some of them on `split`
            estimate = estimate_mean(of["top1"][rows], of["concept"][rows], draws, seed)
            result.measures.append(Measure(model, "collateral_top1", "", estimate))
    if AUDITED in models:
        shown = set(pictures[ORIGINAL]["concept"].tolist())
        listed = [index for index in lists[AUDITED] if index in shown]
        result.notes.append(f"The {len(listed)} concepts that lost most were chosen on validation.")
        result.details.extend(_losses(pictures, task, listed))
    return result


def _losses(
    pictures: dict[str, dict[str, np.ndarray]], task: ErasureTask, listed: Sequence[int]
) -> list[dict[str, str | float | None]]:
    """Return one record per listed concept, see `over_forgetting`."""
    oracles = [model for model in pictures if is_oracle(model)]
    records: list[dict[str, str | float | None]] = [
        {"concept": task.world.concept(index).name, "group": task.world.concept(index).group}
        for index in listed
    ]
    for column, after in (("top1", ""), ("similarity", "_similarity")):
        means = {m: by_concept(of[column], of["concept"]) for m, of in pictures.items()}
        for record, index in zip(records, listed, strict=True):
            before, now = means[ORIGINAL][index], means[AUDITED][index]
            record[f"original{after}"] = before
            record[f"erased{after}"] = now
            record[f"oracle{after}"] = (
                float(np.mean([means[oracle][index] for oracle in oracles])) if oracles else None
            )
            record[f"lost{after}"] = before - now
    return records


def own_names(clip: Clip, task: ErasureTask, split: str) -> dict[str, np.ndarray]:
    """Compare each single picture of a split with its own concept's name.

    Returns:
        Three arrays of shape (n,): ``concept`` (its index), ``similarity``, and ``top1``,
        1 where the name is the nearest of all trained concepts' names, else 0 (always 0
        for the holdout).
    """
    world = task.world
    pairs = world.pairs(split).singles
    labels = pairs.labels()
    names = concept_features(clip, world.concepts)
    images = clip.encode_images(pairs.images)
    nearest = (images @ names[list(world.trained)].T).argmax(1).numpy()
    return {
        "concept": labels,
        "similarity": (images * names[torch.from_numpy(labels)]).sum(1).double().numpy(),
        "top1": (np.array(world.trained)[nearest] == labels).astype(float),
    }


def lost_most(models: Models, task: ErasureTask, most: int) -> dict[str, list[int]]:
    """Return for each model the retained concepts that lost most on validation, worst first.

    The original has the audited model's list, and none where no model is audited.
    """
    named = {model: own_names(clip, task, "validation") for model, clip in models.items()}
    before = named.pop(ORIGINAL)
    lists = {}
    for model, after in named.items():
        lost = {
            column: by_concept(before[column] - after[column], before["concept"])
            for column in ("top1", "similarity")
        }
        seen = [i for i in task.retained if i in lost["top1"]]
        worst = sorted(seen, key=lambda i, of=lost: (-of["top1"][i], -of["similarity"][i]))
        lists[model] = worst[: max(1, min(most, len(worst) // 2))]
    return ({ORIGINAL: lists[AUDITED]} if AUDITED in lists else {}) | lists


TEST = AuditTest(
    name="over_forgetting",
    title="Over-forgetting",
    question="What else was forgotten that should have stayed?",
    source="SALMUBench (arXiv 2603.26316): similarity on near and far holdouts",
    run=over_forgetting,
    metrics=(
        Metric("similarity", "similarity of what should stay", "kept", unit="cosine"),
        Metric(
            "forget_similarity",
            "similarity on the forget set",
            "remembered",
            acquits=False,
            unit="cosine",
        ),
        Metric("collateral_top1", "top-1 of those who lost most", "kept"),
    ),
)
