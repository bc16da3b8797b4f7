"""Domain shift: is the concept recognised in pictures of another kind?

An erasure is fitted to pictures like the training pictures: in colour, sharp, on a soft
gradient. It may not generalise to another rendering of the same things. Accuracy on retained
concepts is measured too, since an erasure can make a model less robust.

Source: forgetting on one rendering and testing on another, with two established families of
altered pictures: corruptions (Hendrycks and Dietterich 2019, arXiv 1903.12261) and other
backgrounds (Xiao et al. 2020, arXiv 2006.09994). The drawing is cut out exactly, since its
sample is known.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import functional as vision

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean
from erasekit.data.drawn.redraw import LineWorld, cut_out, on_plain, samples_of
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.data.worlds import NOT_DRAWN, DrawingWorld, PairsWorld
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import named_right, trained_concepts, trained_singles
from erasekit.models.zero_shot import concept_features

# Chosen on validation data so that the original still classifies half of the pictures correctly.
#: Standard deviation of the blur, as a share of the picture's side.
BLUR = 1 / 64
#: Checkerboard squares per side.
SQUARES = 8


def domain_shift(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    retain_pictures: int = 4,
) -> Result:
    """Measure top-1 on shifted single pictures, among all trained concepts.

    Args:
        models, task, split, draws, seed: as in every audit test; `seed` also draws the
            noise background.
        retain_pictures: maximum number of pictures per retained concept.

    Returns:
        Metrics ``top1`` (forgotten concepts) and ``retain_top1`` (retained concepts), 0 to
        1, with the kind of picture as condition: see `shifted`. Details have the keys
        ``model``, ``condition``, ``subset`` (forget, retain) and ``top1``.

    Raises:
        UsageError: for an unknown split.
    """
    world = task.world
    singles = trained_singles(world, split)
    retained = singles.where(lambda shown: not task.touches(shown)).first_of_each(retain_pictures)
    subsets = {"forget": singles.where(task.touches), "retain": retained}
    names = {m: concept_features(clip, trained_concepts(world)) for m, clip in models.items()}
    result = Result([])
    if not isinstance(world, DrawingWorld):
        result.notes.append(NOT_DRAWN.format("Line art and other backgrounds"))
    for (subset, pairs), metric in zip(subsets.items(), ("top1", "retain_top1"), strict=True):
        labels = pairs.labels()
        for condition, images in shifted(world, pairs, split, seed).items():
            for model, clip in models.items():
                features = clip.encode_images(images)
                right = named_right(features, names[model], labels, world.trained)
                estimate = estimate_mean(right, labels, draws, seed)
                result.measures.append(
                    Measure(model, metric, condition, estimate, 1 / len(world.trained))
                )
                result.details.append(
                    {
                        "model": model,
                        "condition": condition,
                        "subset": subset,
                        "top1": estimate.value,
                    }
                )
    return result


def shifted(world: PairsWorld, singles: Pairs, split: str, seed: int) -> dict[str, Tensor]:
    """Return the pictures of `singles`, which come from `split`, as other kinds of pictures.

    Returns:
        By condition, uint8, shape (n, 3, height, width): ``grey`` and ``blurred``. In a drawn
        world also ``line art`` (black lines on white), and the drawing on ``checkerboard``
        and ``noise`` (both in its background's two colours), ``white`` and ``black``.
    """
    images = singles.images[:]
    side = images.shape[-1]
    sigma = BLUR * side
    changed = {
        "grey": vision.rgb_to_grayscale(images, num_output_channels=3),
        "blurred": vision.gaussian_blur(images, [2 * round(3 * sigma) + 1] * 2, [sigma] * 2),
    }
    if not isinstance(world, DrawingWorld):
        return changed
    samples = samples_of(world, singles, split)
    light, through = cut_out(world, samples)
    colours = torch.tensor(np.stack([s.background for s in samples]), dtype=torch.float32)
    first, second = colours[..., None, None].unbind(1)
    square = torch.arange(side) * SQUARES // side
    patterns = {
        "checkerboard": ((square.view(-1, 1) + square) % 2).float(),
        "noise": torch.rand(
            len(images), 1, side, side, generator=torch.Generator().manual_seed(seed)
        ),
    }
    return {
        **changed,
        "line art": LineWorld(world.spec).render(on_plain(samples, 1)),
        **{
            condition: _as_bytes(light + through * torch.lerp(first, second, pattern))
            for condition, pattern in patterns.items()
        },
        "white": world.render(on_plain(samples, 1)),
        "black": world.render(on_plain(samples, 0)),
    }


def _as_bytes(pixels: Tensor) -> Tensor:
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)


TEST = AuditTest(
    name="domain_shift",
    title="Other pictures",
    question="Does the forgotten concept come back in pictures of another kind?",
    source="Corruptions (arXiv 1903.12261) and backgrounds (arXiv 2006.09994), asked of forgetting",
    run=domain_shift,
    metrics=(
        Metric("top1", "forgotten, named right", "remembered", if_original_knows=True),
        Metric(
            "retain_top1", "retained, named right", "kept", if_original_knows=True, acquits=False
        ),
    ),
)
