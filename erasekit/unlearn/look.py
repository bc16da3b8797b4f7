"""What a method may look at beyond a batch's features: weights, gradients, validation.

Never the test split, on which nothing is chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from erasekit import processes
from erasekit.data.task import ErasureTask
from erasekit.device import autocast
from erasekit.errors import UsageError
from erasekit.models.batches import plan_batches
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features, hits
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.method import Features
from erasekit.unlearn.moves import moving_names, parse_moves

Which = Literal["forget", "retain"]
Loss = Callable[[Features], Tensor]
Tower = Callable[[Tensor], Tensor]
# Pairs of each set that a look at validation retrieves among, where nothing has a name.
_MOST_CAPTIONS = 200


class Look:
    """The model being erased and its task, as `Method.mask` and `Method.finish` see them.

    Attributes:
        weights: the parameters of the model being erased that may move, by name; to ask for
            another is a `UsageError`.
        original: all of the original's parameters, by the same names; not to be changed.
    """

    def __init__(
        self, erased: Clip, original: Clip, task: ErasureTask, spec: EraseSpec, noise: float = 0.0
    ) -> None:
        self._erased, self._task, self._spec, self._noise = erased, task, spec, noise
        self._validation = _Validation(erased, task)
        parameters = dict(erased.model.named_parameters())
        self.weights: dict[str, Tensor] = _Movable(spec.moves)
        for name in moving_names(parameters, parse_moves(spec.moves)):
            self.weights[name] = parameters[name]
        self.original = {k: v.detach() for k, v in original.model.named_parameters()}

    def gradient(self, which: Which, loss: Loss, batches: int = 32) -> dict[str, Tensor]:
        """The mean over batches of the gradient of `loss`, by parameter name.

        Both sets are read in batches of one size: a squared gradient grows as the batch
        shrinks, and could not be compared otherwise. No batch has a set of concepts twice.

        Args:
            which: forget or retain pairs.
            loss: of a batch's features by the model as it is now, a scalar.
            batches: how many, drawn by the seed of the spec.
        """
        return self._mean(which, loss, batches, lambda gradient: gradient)

    def squared_gradient(self, which: Which, loss: Loss, batches: int = 32) -> dict[str, Tensor]:
        """The mean over batches of the squared gradient of `loss`; see `gradient`."""
        return self._mean(which, loss, batches, lambda gradient: gradient.square())

    def validation(self) -> dict[str, float]:
        """Top-1 on validation singles: ``validation_forget`` and ``validation_retain``."""
        # What is decided by it must be decided alike in all processes.
        return processes.on_main(self._validation.top1)

    def forgotten_texts(self) -> Tensor:
        """Unit text features of the forgotten concepts by the model as it is now, (n, d).

        One row a concept and forget language: the mean over its prompts, which is what
        zero-shot classification compares a picture with.
        """
        concepts = self._task.forgotten_concepts
        parts = [concept_features(self._erased, concepts, c) for c in self._task.forget_languages]
        return torch.cat(parts).to(self._erased.device)

    def _mean(
        self, which: Which, loss: Loss, batches: int, of: Callable[[Tensor], Tensor]
    ) -> dict[str, Tensor]:
        parameters = list(self.weights.values())
        totals = [torch.zeros_like(p) for p in parameters]
        for features in self._batches(which, batches):
            found = torch.autograd.grad(
                loss(features), parameters, allow_unused=True, materialize_grads=True
            )
            processes.average(found)
            for total, gradient in zip(totals, found, strict=True):
                total += of(gradient)
        return {k: v / batches for k, v in zip(self.weights, totals, strict=True)}

    def _batches(self, which: Which, batches: int):
        task, spec, clip = self._task, self._spec, self._erased
        kinds = [len(set(map(frozenset, p.concepts))) for p in (task.forget, task.retain)]
        pairs, seed = (task.forget, 2) if which == "forget" else (task.retain, 3)
        plan = plan_batches(
            pairs.concepts,
            steps=batches,
            batch=min(spec.forget_batch, *kinds),
            seed=spec.seed + seed,
        )
        for number, rows in enumerate(plan):
            part = pairs.take(rows)
            key = (spec.seed, seed, number)
            with torch.enable_grad():
                yield encode(
                    clip,
                    part.images[:],  # decoded here, if they are on the disk
                    clip.tokenizer(list(part.captions)).to(clip.device),
                    spec.precision,
                    micro_batch=spec.micro_batch,
                    noise=self._noise,
                    noised=len(rows),
                    key=key,
                )


class _Movable(dict):
    """Weights by name, which say why another is not among them."""

    def __init__(self, moves: str) -> None:
        super().__init__()
        self._moves = moves

    def __missing__(self, name: str) -> Tensor:
        raise UsageError(
            f"moves = {self._moves} holds '{name}', which this method changes: "
            "let it move, or choose another method"
        )


class _Validation:
    """Top-1 on validation singles of the forgotten and the retained concepts.

    Where nothing has a name: the share of pictures whose nearest caption is their own.
    """

    def __init__(self, clip: Clip, task: ErasureTask) -> None:
        self._clip, self._task = clip, task
        singles = task.world.pairs("validation").singles
        asked = {*task.forgotten, *task.retained}  # not of what earlier requests took
        self._pairs = singles.where(lambda concepts: concepts[0] in asked)
        labels = self._pairs.labels()
        rows = {concept: row for row, concept in enumerate(task.world.trained)}
        self._labels = [rows[label] for label in labels]
        self._forget = torch.from_numpy(np.isin(labels, task.forgotten))

    def top1(self) -> dict[str, float]:
        if not self._task.named:
            return self._own_captions()
        candidates = concept_features(
            self._clip, [self._task.world.concept(i) for i in self._task.world.trained]
        )
        right = hits(self._clip.encode_images(self._pairs.images), candidates, self._labels)
        return {
            "validation_forget": float(right[self._forget].mean()),
            "validation_retain": float(right[~self._forget].mean()),
        }

    def _own_captions(self) -> dict[str, float]:
        touches, pairs = self._task.touches, self._task.world.pairs("validation")
        found = {}
        for name, part in (
            ("forget", pairs.where(touches)),
            ("retain", pairs.where(lambda shown: not touches(shown))),
        ):
            rows = list({answer: row for row, answer in enumerate(part.answers())}.values())
            asked = part.take(rows[:_MOST_CAPTIONS])
            captions = self._clip.encode_texts(asked.captions)
            right = hits(self._clip.encode_images(asked.images), captions, range(len(asked)))
            found[f"validation_{name}"] = float(right.mean())
        return found


def encode(
    clip: Clip,
    images: Tensor,
    tokens: Tensor,
    precision: str,
    *,
    micro_batch: int = 0,
    noise: float = 0.0,
    noised: int = 0,
    key: tuple[int, ...] = (),
    towers: tuple[Tower, Tower] | None = None,
) -> Features:
    """Features of pairs by a model, in full precision, differentiable, in one pass a tower.

    Where several processes share the work, each passes its part, and all get all features.

    Args:
        images: uint8 pictures, shape (n, 3, h, w).
        tokens: of their captions.
        precision: of the passes.
        micro_batch: see `features_of`.
        noise: deviation of Gaussian noise on the preprocessed picture; 0 for none.
        noised: how many of the pictures, from the first, are encoded a second time with it.
        key: what the noise is drawn from: the same key gives the same noise.
        towers: of pictures and of texts, in place of the model's own: the same ones compiled.
    """
    of_image, of_text = towers or (clip.model.encode_image, clip.model.encode_text)
    pixels = clip.preprocess(images)
    n, extra, length = len(pixels), None, None
    if noise:
        rng = np.random.default_rng(key)
        drawn = rng.standard_normal(pixels[:noised].shape, dtype=np.float32) * np.float32(noise)
        added = torch.from_numpy(drawn).to(pixels.device)
        length = added.flatten(1).norm(dim=1)
        pixels = torch.cat([pixels, pixels[:noised] + added])
    with autocast(clip.device, precision):
        image = features_of(of_image, processes.share(pixels), micro_batch)
        text = features_of(of_text, processes.share(tokens), micro_batch)
    image = processes.gather(image.float(), len(pixels))
    text = processes.gather(text.float(), len(tokens))
    if noise:
        image, extra = image[:n], image[n:]
    return Features(
        image,
        text,
        clip.model.logit_scale.exp(),
        noised_image=extra,
        noise_norm=length,
    )


def features_of(tower: Tower, rows: Tensor, micro_batch: int = 0) -> Tensor:
    """What a tower makes of pictures or tokens, shape (n, d).

    With a micro-batch only features are kept of each piece, and its activations are computed
    again in the backward pass (gradient caching, Gao et al., arXiv 2101.06983). A contrastive
    loss then still sees the whole batch, in the memory of a piece, for one forward pass more.
    As batch statistics are frozen, features do not depend on where the pieces are cut.

    Args:
        tower: from rows to features.
        rows: of the batch.
        micro_batch: rows of a piece; 0 for all at once.
    """
    if not 0 < micro_batch < len(rows):
        return tower(rows)
    # Nothing is drawn at random in a tower: its generators' state need not be kept.
    pieces = [
        checkpoint(tower, piece, use_reentrant=False, preserve_rng_state=False)
        for piece in rows.split(micro_batch)
    ]
    return torch.cat(pieces)  # type: ignore[arg-type]
