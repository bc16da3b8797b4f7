"""The one engine: it runs any method on any task.

A method gives a loss; everything else is here. The original model is copied, never
changed. Batch statistics stay frozen while erasing, so that a pair's features do not
depend on which other pairs are in its batch; forget and retain pairs therefore go
through the towers together, and the original's features of a pair are computed once.

An erasure has three parts: the method's mask on the weights, the steps, and what the
method does in closed form at the end. Most methods have the second one alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from erasekit import processes
from erasekit.data.drawn.captions import prompts
from erasekit.data.pairs import Pairs
from erasekit.data.task import ErasureTask
from erasekit.errors import RunError, UsageError, unknown
from erasekit.files import sha256_json
from erasekit.loop import LoopResult, run_loop
from erasekit.models.batches import plan_batches
from erasekit.models.clip import Clip
from erasekit.models.zero_shot import concept_features
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.look import Look, Tower, encode
from erasekit.unlearn.losses import contrastive
from erasekit.unlearn.mask import WeightMask
from erasekit.unlearn.method import Features, Method, Prompts, Unseen
from erasekit.unlearn.moves import add_adapters, parse_moves
from erasekit.unlearn.saliency import ratio_mask


@dataclass(frozen=True)
class Erasure:
    """An erased model and how it came about.

    Attributes:
        history: one row a step; of a method that takes none, one row with the validation
            top-1 that it ended at.
        seconds: of everything that the method itself did: mask, features of the original,
            steps, closed form.
        steps: how many were taken.
    """

    model: Clip
    method: str
    options: dict
    spec: EraseSpec
    history: list[dict[str, float]]
    seconds: float
    steps: int


class FrozenFeatures:
    """Normalised features of a fixed list of pairs by a frozen model, each computed once."""

    def __init__(self, clip: Clip, pairs: Pairs) -> None:
        self._clip = clip
        self._pairs = pairs
        self._images: Tensor | None = None
        self._texts: Tensor | None = None
        self._known = torch.zeros(len(pairs), dtype=torch.bool)

    def require(self, indices: np.ndarray) -> None:
        """Compute what is not there yet of the pairs at `indices`, in few large batches."""
        wanted = np.unique(indices)
        missing = wanted[~self._known[torch.from_numpy(wanted)].numpy()]
        if not len(missing):
            return
        part = self._pairs.take(missing)
        image = self._clip.encode_images(part.images)
        text = self._clip.encode_texts(part.captions)
        if self._images is None or self._texts is None:
            self._images = image.new_zeros(len(self._pairs), image.shape[1])
            self._texts = torch.zeros_like(self._images)
        rows = torch.from_numpy(missing)
        self._images[rows], self._texts[rows] = image, text
        self._known[rows] = True

    def at(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Image and text features of the pairs at `indices`, on the model's device."""
        self.require(indices)
        assert self._images is not None and self._texts is not None
        rows = torch.from_numpy(indices)
        device = self._clip.device
        return self._images[rows].to(device), self._texts[rows].to(device)


def erase(
    original: Clip,
    task: ErasureTask,
    method: Method,
    spec: EraseSpec | None = None,
    *,
    frozen: FrozenFeatures | None = None,
    checkpoint: Path | None = None,
    log: Callable[[dict[str, float]], None] | None = None,
    progress: bool = True,
) -> Erasure:
    """Run `method` on a copy of `original`.

    Args:
        original: the model before unlearning; not changed, bit for bit.
        task: forget and retain sets.
        method: from `unlearn.registry`, with its options.
        spec: steps, batches, learning rate, stopping.
        frozen: the original's features of the retain set, to share between erasures.
        checkpoint: file that an interrupted erasure is resumed from.
        log: called with each step's row of the history, on the main process.

    Raises:
        RunError: when a loss, a gradient or a weight is not finite, or a mask does not fit.
        UsageError: when the retain set has too few different pairs for its batch, and when
            the method would change what `EraseSpec.moves` holds.
    """
    spec = spec or EraseSpec()
    asked = parse_moves(spec.moves)
    if not method.trains and (asked.rank or spec.salient):
        what = f"moves = {spec.moves}" if asked.rank else f"salient = {spec.salient:g}"
        raise UsageError(f"{what}: {method.name} takes no steps that could be held to it")
    erased = original.copy()
    model = erased.model.eval().requires_grad_(True)
    look = Look(erased, original, task, spec, method.picture_noise())
    seconds = -time.perf_counter()
    moves = _mask(method, look, spec)
    if asked.rank and moves is not None:
        who = f"salient = {spec.salient:g}" if spec.salient else method.name
        raise UsageError(
            f"moves = {spec.moves}: {who} chooses among the model's own weights, "
            "and adapters would move them all: give it without lora"
        )
    mask = None if moves is None else WeightMask(model, moves, method.name)
    for name, parameter in model.named_parameters():
        if name not in look.weights:
            parameter.requires_grad_(False)
    adapters = add_adapters(model, asked, spec.seed) if asked.rank else None
    seconds += time.perf_counter()
    result = LoopResult()
    if method.trains:
        frozen = frozen or FrozenFeatures(original, task.retain)
        result = _train(
            original, erased, task, method, spec, look, mask, frozen, checkpoint, log, progress
        )
    if mask is not None:
        mask.release()
    seconds -= time.perf_counter()
    if adapters is not None:
        adapters.merge_and_unload()
        look = Look(erased, original, task, spec)  # merging may have made weights anew
    with torch.no_grad():
        method.finish(look)
    seconds += time.perf_counter()
    for name, weight in model.named_parameters():
        if name not in look.weights and not torch.equal(weight, look.original[name]):
            raise UsageError(f"{method.name} changed '{name}', which moves = {spec.moves} holds")
        if not weight.isfinite().all():
            raise RunError(
                f"{method.name} left weights in '{name}' that are not finite: "
                "give it gentler options"
            )
    model.requires_grad_(False)
    return Erasure(
        erased,
        method.name,
        asdict(method),  # type: ignore[call-overload]
        spec,
        result.history if method.trains else [{"step": 0, **look.validation()}],
        result.seconds + seconds,
        result.steps,
    )


def _train(
    original: Clip,
    erased: Clip,
    task: ErasureTask,
    method: Method,
    spec: EraseSpec,
    look: Look,
    mask: WeightMask | None,
    frozen: FrozenFeatures,
    checkpoint: Path | None,
    log: Callable[[dict[str, float]], None] | None,
    progress: bool,
) -> LoopResult:
    """The steps of an erasure, on `erased`."""
    began = time.perf_counter()
    model, device = erased.model, erased.device
    moving = [p for p in model.parameters() if p.requires_grad]
    frozen_forget = FrozenFeatures(original, task.forget)

    retain_plan = plan_batches(
        task.retain.concepts,
        steps=spec.steps,
        batch=min(spec.retain_batch, len(set(map(frozenset, task.retain.concepts)))),
        seed=spec.seed,
    )
    forget_plan = _plan_forget(task, method, spec)
    if method.needs_original:
        frozen.require(retain_plan)
    if method.needs_original_forget and forget_plan is not None:
        frozen_forget.require(forget_plan)
    original_scale = original.model.logit_scale.detach().exp()
    fixed = Prompts(
        _retained_prompts(original, task).to(device),
        _unseen(original, task) if method.needs_unseen else None,
    )
    shares = torch.tensor(
        [np.mean([task.touches((i,)) for i in shown]) for shown in task.forget.concepts],
        dtype=torch.float32,
        device=device,
    )
    noise = method.picture_noise() if method.needs_forget else 0.0

    forget_tokens = original.tokenizer(list(task.forget.captions)).to(device)
    retain_tokens = original.tokenizer(list(task.retain.captions)).to(device)
    names = _Names(original, task, spec.seed) if method.needs_names else None
    towers = _compiled(erased, spec)

    def loss(step: int) -> dict[str, Tensor]:
        rows = retain_plan[step]
        images, tokens = task.retain.images[rows], retain_tokens[rows]
        n, original_name = 0, None
        if forget_plan is not None:
            chosen = forget_plan[step]
            n = len(chosen)
            images = torch.cat([task.forget.images[chosen], images])
            tokens = torch.cat([forget_tokens[chosen], tokens])
            if names is not None:
                named, original_name = names.draw(chosen, step)
                tokens = torch.cat([tokens, named.to(device)])
        both = encode(
            erased,
            images,
            tokens,
            spec.precision,
            micro_batch=spec.micro_batch,
            noise=noise,
            noised=n,
            key=(spec.seed, step),
            towers=towers,
        )
        none = (None, None)
        before = frozen.at(rows) if method.needs_original else none
        last = n + len(rows)
        retain = Features(both.image[n:], both.text[n:last], both.scale, *before, original_scale)
        forget = None
        if forget_plan is not None:
            before = frozen_forget.at(forget_plan[step]) if method.needs_original_forget else none
            forget = replace(
                both,
                image=both.image[:n],
                text=both.text[:n],
                original_image=before[0],
                original_text=before[1],
                original_scale=original_scale,
                name=both.text[last:] if names is not None else None,
                original_name=None if original_name is None else original_name.to(device),
                forgotten_share=shares[torch.from_numpy(forget_plan[step]).to(device)],
            )
        terms = method.loss(forget, retain, fixed)
        return _weighed(method, terms, moving) if method.weighs_gradients else terms

    def stop(history: list[dict[str, float]]) -> bool:
        history[-1].update(look.validation())
        checks = [row["validation_forget"] for row in history if "validation_forget" in row]
        return len(checks) > 1 and max(checks[-2:]) <= spec.stop_at

    # What is computed once is a part of the cost; an erasure that is resumed pays it again.
    prepared = time.perf_counter() - began
    result = run_loop(
        model,
        torch.optim.Adam(moving, lr=spec.learning_rate, betas=(0.9, 0.98), fused=True),
        loss,
        steps=spec.steps,
        label=f"erasing with {method.name}",
        learning_rate=lambda step: (
            spec.learning_rate * 0.5 * (1 + math.cos(math.pi * step / spec.steps))
        ),
        after_step=None if mask is None else mask.hold,
        stop=stop if method.needs_forget and spec.stop_at >= 0 else None,
        stop_every=spec.check_every,
        precision=spec.precision,
        log=log,
        checkpoint=checkpoint,
        checkpoint_every=spec.check_every,
        identity=sha256_json(
            {
                "method": method.name,
                "options": asdict(method),  # type: ignore[call-overload]
                "spec": asdict(spec),
                "task": task.describe(),
                "original": original.fingerprint(),
            }
        ),
        progress=progress,
    )
    result.seconds += prepared
    return result


def _compiled(clip: Clip, spec: EraseSpec) -> tuple[Tower, Tower] | None:
    if not spec.compile:
        return None
    known = torch.compiler.list_backends(exclude_tags=())
    if spec.compile not in known:
        raise unknown("backend of torch.compile", spec.compile, known)
    image, text = (
        torch.compile(tower, backend=spec.compile)
        for tower in (clip.model.encode_image, clip.model.encode_text)
    )
    return image, text


def _mask(method: Method, look: Look, spec: EraseSpec) -> dict[str, Tensor] | None:
    """The method's own mask, and of it what is salient, if that is asked for."""
    own = method.mask(look)
    if not spec.salient:
        return own
    forget, retain = (look.squared_gradient(part, contrastive) for part in ("forget", "retain"))
    salient = ratio_mask(forget, retain, spec.salient)
    return salient if own is None else {k: own[k] & salient[k] for k in own if k in salient}


def _weighed(method: Method, terms: dict[str, Tensor], weights: list) -> dict[str, Tensor]:
    gradients = {
        name: torch.cat(
            [
                gradient.flatten()
                for gradient in torch.autograd.grad(
                    term, weights, retain_graph=True, allow_unused=True, materialize_grads=True
                )
            ]
        )
        for name, term in terms.items()
    }
    processes.average(list(gradients.values()))
    factors = method.weigh(gradients)
    return {name: factors[name] * term for name, term in terms.items()}


def _plan_forget(task: ErasureTask, method: Method, spec: EraseSpec) -> np.ndarray | None:
    if not method.needs_forget:
        return None
    different = len(set(map(frozenset, task.forget.concepts)))
    return plan_batches(
        task.forget.concepts,
        steps=spec.steps,
        batch=min(spec.forget_batch, different if method.contrasts_forget else len(task.forget)),
        seed=spec.seed + 1,
        distinct=method.contrasts_forget,
    )


def _retained_prompts(original: Clip, task: ErasureTask) -> Tensor:
    return concept_features(original, [task.world.concept(i) for i in task.retained])


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
        """One caption for each pair at `rows`, drawn from the seed and the step's number.

        Returns:
            its tokens, and the original's feature of it.
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
