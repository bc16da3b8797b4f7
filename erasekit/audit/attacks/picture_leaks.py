"""Picture leaks: are pictures that had to go still known, in whatever form they come?

For a request for single pictures there is no name to ask for. What can leak is that a model
matches a picture with its caption, in the picture as it was, in an altered copy, or after a
linear map back to the original; and that it can be told which pictures it was trained on.

A model that never saw a picture matches it with its caption about as well as other pictures of
its kind. What it reaches is shown by an oracle, where there is one.

Source: retrieval as in CLIP (arXiv 2103.00020); common corruptions (arXiv 1903.12261);
membership by the pair's similarity (arXiv 1709.01604); a linear map as in `realignment`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import functional as vision

from erasekit.audit.attacks.realignment import turn
from erasekit.audit.base import (
    AuditTest,
    Estimate,
    Measure,
    Metric,
    Models,
    Result,
    estimate_mean,
    estimate_statistic,
)
from erasekit.audit.names import ORIGINAL
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.membership_auc import membership_auc
from erasekit.evaluate.request_scores import encoded, nearest_of_kind, same_pairs
from erasekit.evaluate.retrieval import ranks
from erasekit.evaluate.subsets import distinct_scenes

#: Standard deviation of the blur, and what a crop leaves, as shares of the picture's side.
BLUR, CROP = 1 / 64, 0.85
#: Maximum number of retained training pairs on which the linear map is fitted.
MOST_TAUGHT = 1000


def picture_leaks(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    gallery: int = 200,
) -> Result:
    """Match the requested pictures with their captions, and tell them from unseen ones.

    Args:
        models, task, split, draws, seed: as in every audit test.
        gallery: maximum number of retained captions of `split` among which a caption is to be
            found, and of unseen pictures of the request's kind.

    Returns:
        Metrics from 0 to 1: ``matched``, the share of requested pictures whose own caption is
        the nearest, with the conditions ``as it is``, `altered`, and ``mapped back``; and
        ``auc``, how well the requested pairs are told from unseen pairs of their kind by the
        similarity of picture and caption. If the request has no unseen pictures of its kind,
        the nearest pictures by the original take their place, and a note says so.

    Raises:
        UsageError: for an unknown split.
    """
    original, result = models[ORIGINAL], Result([])
    judged = task.judged(split)
    asked, kept = judged.where(task.touches), judged.where(lambda shown: not task.touches(shown))
    others = distinct_scenes(kept.scenes, gallery)
    members, kin = task.members(split)
    if not len(kin):
        kin = nearest_of_kind(original, members, kept, gallery)
        result.notes.append(
            "No unseen picture shows what the request shows: the nearest ones take their place."
        )
    kin = kin.take(range(min(len(kin), gallery)))
    forms = {"as it is": asked.images[:], **altered(asked.images[:])}
    taught = task.retain.take(_spread(len(task.retain), MOST_TAUGHT))
    goal = encoded(original, taught)
    groups = np.array([hash(shown) for shown in asked.concepts])
    same = same_pairs(asked, others)
    chance = 1 / (len(asked) + len(others))
    for model, clip in models.items():
        texts = [clip.encode_texts(pairs.captions) for pairs in (asked, others)]
        known = encoded(clip, taught)

        def add(condition: str, images: Tensor, captions: Tensor, model: str = model) -> None:
            right = (ranks(images, captions, same) == 0).astype(float)
            estimate = estimate_mean(right, groups, draws, seed)
            result.measures.append(Measure(model, "matched", condition, estimate, chance))

        for condition, pictures in forms.items():
            add(condition, clip.encode_images(pictures), torch.cat(texts))
        mapped = turn(known[0], goal[0], clip.encode_images(forms["as it is"]))
        add("mapped back", mapped, turn(known[1], goal[1], torch.cat(texts)))
        estimate = _membership(encoded(clip, members), encoded(clip, kin), draws, seed)
        result.measures.append(Measure(model, "auc", "", estimate, 0.5))
    result.notes.append(
        f"{len(asked)} pairs of the request, among {len(others)} retained captions; "
        f"{len(members)} pairs against {len(kin)} unseen ones of their kind."
    )
    return result


def altered(images: Tensor) -> dict[str, Tensor]:
    """Return copies of pictures as they come into circulation: uint8, of the same shape.

    Returns:
        By condition: ``mirrored``, ``grey``, ``blurred``, and ``cropped`` to the middle.
    """
    side = images.shape[-1]
    sigma, left = BLUR * side, round(CROP * side)
    return {
        "mirrored": vision.hflip(images),
        "grey": vision.rgb_to_grayscale(images, num_output_channels=3),
        "blurred": vision.gaussian_blur(images, [2 * round(3 * sigma) + 1] * 2, [sigma] * 2),
        "cropped": vision.resize(vision.center_crop(images, [left, left]), [side, side]),
    }


def matched_retained(
    models: Models, task: ErasureTask, split: str, draws: int, seed: int, gallery: int = 200
) -> tuple[dict[str, Estimate], float]:
    """Estimate the share of retained pictures that each model matches with their captions.

    Returns:
        The estimates by model, and the share that guessing reaches.
    """
    kept = task.judged(split).where(lambda shown: not task.touches(shown))
    pairs = distinct_scenes(kept.scenes, gallery)
    groups, same = np.arange(len(pairs)), same_pairs(pairs, pairs.take(()))
    found = {}
    for model, clip in models.items():
        right = (ranks(*encoded(clip, pairs), same) == 0).astype(float)
        found[model] = estimate_mean(right, groups, draws, seed)
    return found, 1 / max(1, len(pairs))


def _membership(
    members: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor], draws: int, seed: int
) -> Estimate:
    """Estimate the AUC of the similarity of picture and caption, by resampling pairs."""
    scores = np.concatenate(
        [(image * text).sum(1).double().numpy() for image, text in (members, others)]
    )
    member = np.arange(len(scores)) < len(members[0])

    def auc(rows: np.ndarray) -> float:
        own, unseen = scores[rows][member[rows]], scores[rows][~member[rows]]
        return membership_auc(own, unseen) if len(own) and len(unseen) else 0.5

    return estimate_statistic(auc, np.arange(len(scores)), min(draws, 200), seed)


def _spread(n: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


TEST = AuditTest(
    name="picture_leaks",
    title="The pictures themselves",
    question="Are the requested pictures still known, as they are or in altered copies?",
    source="retrieval (arXiv 2103.00020), corruptions (1903.12261), membership (1709.01604)",
    run=picture_leaks,
    metrics=(
        Metric("matched", "matched with their captions", "remembered"),
        Metric("auc", "told from unseen pictures (AUC)", "remembered", acquits=False, unit="auc"),
    ),
    requests="pictures",
)
