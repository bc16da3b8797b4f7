"""Relearning: how fast does the concept return when a model is trained on a few of its pairs?

A removed concept must be learnt from scratch; a suppressed one returns after a step or two.
A copy of each model is fine-tuned on k pairs of each forgotten concept, and accuracy is
measured on unseen pictures. An oracle learns too, since it knows everything except the
concept: only faster learning than the oracles' is evidence of a remnant. The gap in ``area``
is the area between the two curves.

The sources (arXiv 2406.13356 for language models, 2506.01318 for classifiers) fine-tune on
forget data and compare with the retrained model. We use CLIP's contrastive loss. It has no
gradient for a single pair, so each batch holds one pair of each forgotten concept and
retained pairs with other concepts.

The learning rate was chosen on validation data with the oracle only, from 1e-4, 2e-4, 5e-4,
1e-3 and 2e-3: the one with which the oracle learnt most from 16 pairs per concept in 16
steps, and almost nothing in the first (2e-4 in the default profile, 5e-4 in the smoke profile).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from erasekit.audit.base import AuditTest, Measure, Metric, Models, Result, estimate_mean
from erasekit.audit.relearn import relearn
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.evaluate.bootstrap import DRAWS
from erasekit.evaluate.naming import forgotten_singles, trained_concepts
from erasekit.models.batches import plan_batches
from erasekit.models.clip import Clip
from erasekit.models.contrastive import info_nce
from erasekit.models.text_features import encode_text
from erasekit.models.zero_shot import concept_features, hits
from erasekit.progress import progress_bar


def relearning(
    models: Models,
    task: ErasureTask,
    *,
    split: str = "test",
    draws: int = DRAWS,
    seed: int = 0,
    pairs: Sequence[int] = (1, 4, 16),
    repeats: int = 2,
    checkpoints: Sequence[int] = (2, 4, 8, 16),
    learning_rate: float = 2e-4,
    retain_batch: int = 16,
) -> Result:
    """Measure accuracy on the forgotten concepts while k pairs of each are relearnt.

    The pairs are single pictures of the forget set with their captions. A larger k includes
    the pairs of a smaller one, and every model sees the same batches. As in
    `unlearn.engine`, batch statistics stay frozen.

    Args:
        models, task, split, draws: as in every audit test.
        seed: seed of the bootstrap, and of the choice and order of the pairs.
        pairs: the values of k, the number of pairs per forgotten concept.
        repeats: number of draws of pairs; curves are means over them.
        checkpoints: steps after which to measure; the last one is the last step.
        learning_rate: Adam's learning rate.
        retain_batch: retained pairs per batch, in addition to one pair per forgotten concept.

    Returns:
        Metrics from 0 to 1 with conditions such as ``k=4``: ``area``, the mean accuracy over
        step 0 and the checkpoints (which double, so that early steps weigh more), and
        ``after``, the accuracy after the last step.
        Details are the curves: ``model``, ``k``, ``step``, ``accuracy``, and its 95 %
        interval ``low``, ``high``. A k for which the forget set has too few single pictures
        is skipped, and a note says so.

    Raises:
        RunError: when a loss or gradient is not finite.
        UsageError: for an unknown split.
    """
    forget = task.forget.singles.labels()
    fewest = min(int((forget == index).sum()) for index in task.forgotten)
    possible = [k for k in pairs if k <= fewest]
    result = Result([])
    if possible != list(pairs):
        result.notes.append(
            f"Only k up to {fewest}: the forget set has no more single pictures of some concept."
        )
    pictures = _Pictures(task, split)
    lessons = {
        k: [_lesson(task, k, max(checkpoints), retain_batch, seed + i) for i in range(repeats)]
        for k in possible
    }
    runs = len(models) * len(possible) * repeats
    with progress_bar("relearning", "run", runs) as bar:
        for model, clip in models.items():
            before = pictures.named_right(clip)
            for k in possible:
                curves = []
                for lesson in lessons[k]:
                    after = _relearn(clip, lesson, pictures, checkpoints, learning_rate)
                    curves.append([before, *after])
                    bar.update()
                curve = np.mean(curves, axis=0)  # (checkpoints, pictures)
                along = [estimate_mean(at, pictures.labels, draws, seed) for at in curve]
                area = estimate_mean(curve.mean(0), pictures.labels, draws, seed)
                result.measures.extend(
                    Measure(model, metric, f"k={k}", estimate, pictures.chance)
                    for metric, estimate in (("area", area), ("after", along[-1]))
                )
                result.details.extend(
                    {
                        "model": model,
                        "k": k,
                        "step": step,
                        "accuracy": estimate.value,
                        "low": estimate.interval[0],
                        "high": estimate.interval[1],
                    }
                    for step, estimate in zip((0, *checkpoints), along, strict=True)
                )
    return result


class _Pictures:
    """Pictures of the forgotten concepts, to be classified among all trained concepts."""

    def __init__(self, task: ErasureTask, split: str) -> None:
        world = task.world
        self._pairs = forgotten_singles(task, split)
        self.labels = self._pairs.labels()
        self._rows = [world.trained.index(label) for label in self.labels]
        self.chance = 1 / len(world.trained)
        self._candidates = trained_concepts(world)

    def named_right(self, clip: Clip) -> np.ndarray:
        """Return 1 for each correctly classified picture, else 0, shape (n,)."""
        names = concept_features(clip, self._candidates)
        return hits(clip.encode_images(self._pairs.images), names, self._rows).numpy()


@dataclass(frozen=True)
class _Lesson:
    """The pairs of one run and the batch of each step."""

    forget: Pairs
    retain: Pairs
    forget_plan: np.ndarray
    retain_plan: np.ndarray

    def batch(self, step: int) -> tuple[Tensor, list[str]]:
        """Return a step's pictures and captions, all with different sets of concepts."""
        forget = self.forget.take(self.forget_plan[step])
        retain = self.retain.take(self.retain_plan[step])
        return torch.cat([forget.images[:], retain.images[:]]), [*forget.captions, *retain.captions]


def _lesson(task: ErasureTask, k: int, steps: int, retain_batch: int, seed: int) -> _Lesson:
    forget = task.forget.singles
    order = np.random.default_rng(seed).permutation(len(forget))
    chosen = forget.take(order).first_of_each(k)
    different = len(set(map(frozenset, task.retain.concepts)))
    return _Lesson(
        chosen,
        task.retain,
        plan_batches(chosen.concepts, steps=steps, batch=len(chosen) // k, seed=seed),
        plan_batches(
            task.retain.concepts, steps=steps, batch=min(retain_batch, different), seed=seed
        ),
    )


def _relearn(
    clip: Clip,
    lesson: _Lesson,
    pictures: _Pictures,
    checkpoints: Collection[int],
    learning_rate: float,
) -> list[np.ndarray]:
    """Fine-tune `clip`; return whether each picture is classified correctly per checkpoint."""
    learner = clip.copy()
    model = learner.model.eval().requires_grad_(True)

    def loss(step: int) -> dict[str, Tensor]:
        images, captions = lesson.batch(step)
        image = model.encode_image(learner.preprocess(images), normalize=True)
        tokens = learner.tokenizer(captions).to(learner.device)
        text = encode_text(model, tokens, normalize=True)
        return {"contrastive": info_nce(image, text, model.logit_scale.exp())}

    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    return relearn(model, optimizer, loss, lambda: pictures.named_right(learner), checkpoints)


TEST = AuditTest(
    name="relearning",
    title="Relearning",
    question="How fast does the forgotten concept come back from a few examples?",
    source=(
        "relearning attacks: arXiv 2406.13356 (language models), 2506.01318 (classifiers); "
        "here with CLIP's contrastive loss"
    ),
    run=relearning,
    metrics=(
        Metric("area", "mean accuracy while relearning", "remembered"),
        Metric("after", "accuracy after relearning", "remembered", acquits=False),
    ),
    smoke={"pairs": (4,), "repeats": 1, "checkpoints": (2, 4, 8), "learning_rate": 5e-4},
)
