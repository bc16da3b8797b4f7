"""Adapter for CLIPs: the image-text pairs of each step and their features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from erasekit.data.drawn.captions import prompts
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.models.batches import plan_batches
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features, hits
from erasekit.unlearn.adapter import Adapter, Which
from erasekit.unlearn.encode import FrozenFeatures, encode, towers_of
from erasekit.unlearn.method import Features, Prompts, Unseen
from erasekit.unlearn.moves import CLIP_PARTS, in_block

#: Default number of batches in a sample.
_SAMPLED = 32
# Maximum number of pairs of each set in a validation check by retrieval.
_MOST_CAPTIONS = 200


class PairBatches(Adapter[Clip]):
    """A CLIP being erased, and the pairs of each step.

    Batch statistics are frozen during an erasure, so that a pair's features do not depend on the
    rest of its batch. Forget and retain pairs can therefore share a pass, and the original's
    features of a pair are computed only once.
    """

    kind = "clip"
    parts = CLIP_PARTS
    fused = True

    task: ErasureTask
    frozen: FrozenFeatures | None

    def plan(self) -> None:
        original, task, method, spec = self.original, self.task, self.method, self.spec
        device = self.erased.device
        self.frozen = self.frozen or FrozenFeatures(original, task.retain)
        self._frozen_forget = FrozenFeatures(original, task.forget)
        self._retain_plan = plan_batches(
            task.retain.concepts,
            steps=spec.steps,
            batch=min(spec.retain_batch, _different(task.retain)),
            seed=spec.seed,
        )
        self._forget_plan = self.plan_forget()
        if method.needs_original:
            self.frozen.require(self._retain_plan)
        if method.needs_original_forget and self._forget_plan is not None:
            self._frozen_forget.require(self._forget_plan)
        self._original_scale = original.model.logit_scale.detach().exp()
        self.prompts = Prompts(
            concept_features(original, [task.world.concept(i) for i in task.retained]).to(device),
            _unseen(original, task) if method.needs_unseen else None,
        )
        self._shares = torch.tensor(
            [np.mean([task.touches((i,)) for i in shown]) for shown in task.forget.concepts],
            dtype=torch.float32,
            device=device,
        )
        self._noise = method.picture_noise() if method.needs_forget else 0.0
        self._forget_tokens = original.tokenizer(list(task.forget.captions)).to(device)
        self._retain_tokens = original.tokenizer(list(task.retain.captions)).to(device)
        self._names = _Names(original, task, spec.seed) if method.needs_names else None
        self._towers = towers_of(self.erased.model, spec.compile)

    def plan_forget(self) -> np.ndarray | None:
        """Indices of the forget pairs of each step; None if the method uses none."""
        pairs, method = self.task.forget, self.method
        if not method.needs_forget:
            return None
        most = _different(pairs) if method.contrasts_forget else len(pairs)
        return plan_batches(
            pairs.concepts,
            steps=self.spec.steps,
            batch=min(self.spec.forget_batch, most),
            seed=self.spec.seed + 1,
            distinct=method.contrasts_forget,
        )

    def at(self, step: int) -> tuple[Features | None, Features]:
        task, method, spec = self.task, self.method, self.spec
        rows = self._retain_plan[step]
        chosen = None if self._forget_plan is None else self._forget_plan[step]
        images, tokens = task.retain.images[rows], self._retain_tokens[rows]
        n, original_name = 0, None
        if chosen is not None:
            n = len(chosen)
            images = torch.cat([task.forget.images[chosen], images])
            tokens = torch.cat([self._forget_tokens[chosen], tokens])
            if self._names is not None:
                named, original_name = self._names.draw(chosen, step)
                tokens = torch.cat([tokens, named.to(tokens.device)])
                original_name = original_name.to(tokens.device)
        both = encode(
            self.erased,
            images,
            tokens,
            spec.precision,
            micro_batch=spec.micro_batch,
            noise=self._noise,
            noised=n,
            key=(spec.seed, step),
            towers=self._towers,
        )
        assert self.frozen is not None
        none = (None, None)
        before = self.frozen.at(rows) if method.needs_original else none
        last = n + len(rows)
        scale = self._original_scale
        retain = Features(both.image[n:], both.text[n:last], both.scale, *before, scale)
        if chosen is None:
            return None, retain
        before = self._frozen_forget.at(chosen) if method.needs_original_forget else none
        forget = replace(
            both,
            image=both.image[:n],
            text=both.text[:n],
            original_image=before[0],
            original_text=before[1],
            original_scale=scale,
            name=None if original_name is None else both.text[last:],
            original_name=original_name,
            forgotten_share=self._shares[torch.from_numpy(chosen).to(self._shares.device)],
        )
        return forget, retain

    def sample(self, which: Which, batches: int | None) -> Sequence[Callable[[], Features]]:
        """Batches without repeated concept sets, of the same size for both sets.

        Squared gradients grow as batches shrink, so only equal sizes are comparable.
        """
        task, spec = self.task, self.spec
        pairs, seed = (task.forget, 2) if which == "forget" else (task.retain, 3)
        plan = plan_batches(
            pairs.concepts,
            steps=_SAMPLED if batches is None else batches,
            batch=min(spec.forget_batch, _different(task.forget), _different(task.retain)),
            seed=spec.seed + seed,
        )

        def batch(number: int) -> Features:
            part = pairs.take(plan[number])
            return encode(
                self.erased,
                part.images[:],  # decodes pictures that are on disk
                self.erased.tokenizer(list(part.captions)).to(self.erased.device),
                spec.precision,
                micro_batch=spec.micro_batch,
                noise=self.method.picture_noise(),
                noised=len(part),
                key=(spec.seed, seed, number),
            )

        return [lambda number=number: batch(number) for number in range(len(plan))]

    def validation(self) -> dict[str, float]:
        """Top-1 on validation singles of the forgotten and the retained concepts.

        For data without concept names: the share of pictures whose nearest caption is their own.
        """
        return self._validation.top1()

    @cached_property
    def _validation(self) -> _Validation:
        return _Validation(self.erased, self.task)

    def adapts(self, name: str, layer: nn.Module) -> bool:
        """Attention, linear and (for ResNets) ungrouped convolution layers inside blocks."""
        fits = isinstance(layer, (nn.Linear, nn.MultiheadAttention)) or (
            isinstance(layer, nn.Conv2d) and layer.groups == 1
        )
        return fits and in_block(name)

    def forgotten_texts(self) -> Tensor:
        concepts = self.task.forgotten_concepts
        parts = [concept_features(self.erased, concepts, c) for c in self.task.forget_languages]
        return torch.cat(parts).to(self.erased.device)


def _different(pairs: Pairs) -> int:
    """Number of distinct concept sets."""
    return len(set(map(frozenset, pairs.concepts)))


class _Names:
    """Captions that name one forgotten concept of a pair and nothing else, in forget languages."""

    def __init__(self, clip: Clip, task: ErasureTask, seed: int) -> None:
        self._task, self._seed = task, seed
        texts = {
            index: [
                text
                for language in task.forget_languages
                for text in prompts(task.world.concept(index), language)
            ]
            for index in task.forgotten
        }
        self._tokens = {index: clip.tokenizer(of) for index, of in texts.items()}
        self._features = {index: clip.encode_texts(of) for index, of in texts.items()}

    def draw(self, rows: np.ndarray, step: int) -> tuple[Tensor, Tensor]:
        """Draw one caption for each pair at `rows`, from the seed and the step's number.

        Returns:
            tokens of the captions, and the original's features of them.
        """
        rng = np.random.default_rng((self._seed, step))
        chosen = []
        for row in rows:
            there = [i for i in self._task.forget.concepts[row] if i in self._tokens]
            index = int(rng.choice(there))
            place = int(rng.integers(len(self._tokens[index])))
            chosen.append((self._tokens[index][place], self._features[index][place]))
        tokens, features = zip(*chosen, strict=True)
        return torch.stack(tokens), torch.stack(features)


def _unseen(original: Clip, task: ErasureTask) -> Unseen:
    world = task.world
    validation = world.pairs("validation")

    def mean_cosine(pairs: Pairs, texts: Callable[[], Tensor]) -> float | None:
        if not len(pairs):
            return None
        return float((original.encode_images(pairs.images) * texts()).sum(1).mean())

    def own_names() -> Tensor:
        names = concept_features(original, [world.concept(i) for i in world.holdout])
        return names[[world.holdout.index(label) for label in strangers.labels()]]

    strangers = validation.singles.where(lambda shown: shown[0] in world.holdout)
    retained = set(task.retained)
    scenes = validation.where(lambda shown: len(shown) > 1 and retained.issuperset(shown))
    return Unseen(
        mean_cosine(strangers, own_names),
        mean_cosine(scenes, lambda: original.encode_texts(scenes.captions)),
    )


class _Validation:
    """Recognition rates on the validation split; see `PairBatches.validation`."""

    def __init__(self, clip: Clip, task: ErasureTask) -> None:
        self._clip, self._task = clip, task
        singles = task.judged("validation").singles
        asked = {*task.forgotten, *task.retained}  # without concepts of earlier requests
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
        touches, pairs = self._task.touches, self._task.judged("validation")
        parts = {}
        for name, part in (
            ("forget", pairs.where(touches)),
            ("retain", pairs.where(lambda shown: not touches(shown))),
        ):
            rows = list({answer: row for row, answer in enumerate(part.answers())}.values())
            parts[name] = part.take(rows[:_MOST_CAPTIONS])
        captions = self._clip.encode_texts([c for part in parts.values() for c in part.captions])
        found, first = {}, 0
        for name, part in parts.items():
            own = range(first, first + len(part))
            right = hits(self._clip.encode_images(part.images), captions, own)
            found[f"validation_{name}"] = float(right.mean())
            first += len(part)
        return found
