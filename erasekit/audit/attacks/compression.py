"""Compression: does the association return when the weights are quantised or pruned?

If an erasure changes each weight only slightly, rounding can restore the original weights
and undo it.

Source: Zhang et al. 2024 (arXiv 2410.16454) quantise unlearned language models to 8 and 4
bits. We apply this to CLIP and add magnitude pruning. The oracles are compressed too, since
compression alone costs accuracy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean
from erasekit.audit.names import ORIGINAL
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import by_concept, named_right, trained_concepts, trained_singles
from erasekit.models.zero_shot import concept_features

#: open_clip multiplies by these projections from the right: their outputs are the columns.
_OUTPUTS_IN_COLUMNS = ("proj", "text_projection")


def quantise(model: nn.Module, bits: int) -> None:
    """Round every matrix to `bits`-bit integers with one scale per output channel.

    Symmetric, weights only: the largest weight of a channel maps to the largest integer.
    Embeddings use one scale per row (token, position). Gains, biases, the logit scale and
    batch statistics keep their precision, as is usual.

    Args:
        model: changed in place.
        bits: at least 2.
    """
    most = 2 ** (bits - 1) - 1
    for module, name in _matrices(model):
        weight = getattr(module, name)
        exact = weight.detach().float().cpu()  # not every device supports this rounding
        channel = exact.ndim - 1 if name in _OUTPUTS_IN_COLUMNS else 0
        others = [axis for axis in range(exact.ndim) if axis != channel]
        # A channel of zeros has no scale: any positive value works.
        steps = (exact.abs().amax(others) / most).clamp(min=torch.finfo(torch.float32).tiny)
        zeros = torch.zeros(len(steps), dtype=torch.int32)
        rounded = torch.fake_quantize_per_channel_affine(exact, steps, zeros, channel, -most, most)
        with torch.no_grad():
            weight.copy_(rounded)


def prune_smallest(model: nn.Module, share: float) -> None:
    """Set the smallest `share` of each matrix's weights to zero, in place.

    Prunes the same weights as `quantise` rounds, including embeddings.
    """
    for module, name in _matrices(model):
        # Pruning takes a flat view, which a channels-last weight does not allow.
        ranked = getattr(module, name).detach().contiguous()
        prune.l1_unstructured(module, name, share, importance_scores=ranked)
        prune.remove(module, name)


def _matrices(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Return (module, name) of every weight with at least two dimensions."""
    return [
        (module, name)
        for module in model.modules()
        for name, weight in module.named_parameters(recurse=False)
        if weight.ndim > 1
    ]


_ROUNDED = (
    "Rounded and pruned are all weights with two dimensions or more, embeddings included; "
    "biases, gains, the logit scale and batch statistics are not."
)
_BROKEN = (
    "Under “{}” the original itself names the forgotten things no better than by guessing: "
    "nothing can be told from it, and similarities are left out."
)
#: Compression applied to a copy of each model, by condition.
CONDITIONS: dict[str, Callable[[nn.Module], None]] = {
    "as it is": lambda model: None,
    "int8": partial(quantise, bits=8),
    "int4": partial(quantise, bits=4),
    "pruned 30 %": partial(prune_smallest, share=0.3),
    "pruned 50 %": partial(prune_smallest, share=0.5),
}


def compression(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    retain_pictures: int = 4,
) -> Result:
    """Classify the forgotten concepts' pictures after quantising or pruning the weights.

    Args:
        models: models to test; each condition compresses a copy of each.
        task: the erasure task with the forgotten concepts.
        split: split whose single pictures are classified.
        draws, seed: draws and seed of the bootstrap over concepts.
        retain_pictures: maximum number of pictures per retained concept.

    Returns:
        By condition (see `CONDITIONS`): ``top1`` of forgotten concepts among all trained
        names, ``similarity`` of their pictures with their own name (−1 to 1), and
        ``retain_top1``, which is reported only. Similarity is omitted under a condition
        that breaks the original, so that no verdict depends on it. Details have one record
        per forgotten concept: ``model``, ``condition``, ``concept``, ``top1``, ``similarity``.
    """
    world = task.world
    singles = trained_singles(world, split)
    forget = singles.where(task.touches)
    retain = singles.where(lambda shown: not task.touches(shown)).first_of_each(retain_pictures)
    labels = forget.labels()
    chance = 1 / len(world.trained)
    measures: list[Measure] = []
    details: list[dict[str, Any]] = []
    for model, clip in models.items():
        for condition, compress in CONDITIONS.items():
            copy = clip.copy()
            compress(copy.model)
            names = concept_features(copy, trained_concepts(world))
            pictures = copy.encode_images(forget.images)
            right = named_right(pictures, names, labels, world.trained)
            own = names[[world.trained.index(label) for label in labels]]
            similarity = (pictures * own).sum(1).numpy()
            kept = named_right(
                copy.encode_images(retain.images), names, retain.labels(), world.trained
            )
            for metric, values, of, guess in (
                ("top1", right, labels, chance),
                ("similarity", similarity, labels, None),
                ("retain_top1", kept, retain.labels(), chance),
            ):
                estimate = estimate_mean(values, of, draws, seed)
                measures.append(Measure(model, metric, condition, estimate, guess))
            top1, cosine = by_concept(right, labels), by_concept(similarity, labels)
            details += [
                {
                    "model": model,
                    "condition": condition,
                    "concept": world.concept(index).name,
                    "top1": top1[index],
                    "similarity": cosine[index],
                }
                for index in top1
            ]
    # Only top-1 has a chance level that shows whether the original is broken. Where it is,
    # its similarities are dropped too.
    broken = {
        m.condition
        for m in measures
        if (m.model, m.metric) == (ORIGINAL, "top1") and m.estimate.interval[0] <= chance
    }
    return Result(
        [m for m in measures if m.metric != "similarity" or m.condition not in broken],
        details,
        [_ROUNDED, *(_BROKEN.format(condition) for condition in CONDITIONS if condition in broken)],
    )


TEST = AuditTest(
    name="compression",
    title="Compression",
    question="Do the forgotten things come back when the model is made smaller?",
    source="Zhang et al. 2024 (2410.16454), for language models",
    run=compression,
    metrics=(
        Metric("top1", "forgotten things named right", "remembered", if_original_knows=True),
        Metric(
            "similarity",
            "similarity with the forgotten name",
            "remembered",
            acquits=False,
            unit="cosine",
        ),
        # The cost of rounding varies between seeds, and other tests measure retention: this
        # value is reported without a verdict.
        Metric("retain_top1", "retained things named right", "reported"),
    ),
)
