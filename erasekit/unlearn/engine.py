"""The unlearning engine, which runs any method on any task and kind of model.

A method provides the loss and an adapter provides its rows; the engine does everything else. It
works on a copy of the original model.

An erasure has three parts: the method's mask on the weights, the training steps, and the
method's closed-form update at the end. Most methods use only the training steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor

from erasekit import processes
from erasekit.errors import RunError, UsageError
from erasekit.files import sha256_json
from erasekit.loop import LoopResult, run_loop
from erasekit.models.clip import Clip
from erasekit.unlearn.adapter import Adapter, M
from erasekit.unlearn.erase_spec import EraseSpec
from erasekit.unlearn.look import Look
from erasekit.unlearn.mask import WeightMask
from erasekit.unlearn.method import Method
from erasekit.unlearn.moves import add_adapters, moving_names, parse_moves
from erasekit.unlearn.saliency import ratio_mask

Log = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Erasure(Generic[M]):
    """An erased model and the record of its erasure.

    Attributes:
        history: one row per step; for a method without steps, one row with the final
            validation scores.
        seconds: run time of the method: mask, features of the original, steps, closed-form
            update.
        steps: number of steps taken.
        mask: share of weights that may move, by parameter name, if the erasure has a mask.
    """

    model: M
    method: str
    options: dict
    spec: EraseSpec
    history: list[dict[str, float]]
    seconds: float
    steps: int
    mask: dict[str, float] = field(default_factory=dict)


def erase(
    original: M,
    task: Any,
    method: Method,
    spec: EraseSpec | None = None,
    *,
    frozen: Any = None,
    checkpoint: Path | None = None,
    log: Log | None = None,
    progress: bool = True,
) -> Erasure[M]:
    """Run `method` on a copy of `original`.

    Args:
        original: the model before unlearning; not changed.
        task: forget and retain sets: an `ErasureTask` for a CLIP, a `QuestionTask` for a
            multimodal language model.
        method: a method from `unlearn.registry`, with its options.
        spec: steps, batches, learning rate, stopping.
        frozen: for a CLIP, the original's `FrozenFeatures` of the retain set, to share between
            erasures.
        checkpoint: file from which an interrupted erasure resumes.
        log: called with each step's row of the history, on the main process.

    Raises:
        RunError: when a loss, a gradient or a weight is not finite, or a mask does not fit.
        UsageError: when the retain set has too few different pairs for its batch, when the
            method does not support this kind of model, or when it would change weights that
            `EraseSpec.moves` freezes.
    """
    spec = spec or EraseSpec()
    asked = parse_moves(spec.moves)
    if not method.trains and (asked.rank or spec.salient):
        what = f"moves = {spec.moves}" if asked.rank else f"salient = {spec.salient:g}"
        raise UsageError(f"{what}: {method.name} takes no steps that could be held to it")
    adapter = _adapter_of(original)(original, task, method, spec, frozen)
    erased = adapter.erased
    model = erased.model
    moving = moving_names(dict(model.named_parameters()), asked, adapter.parts)
    adapters = None
    if asked.rank:
        adapters = add_adapters(model, moving, adapter.adapts, asked, spec.seed)
    else:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in moving)
    seconds = -time.perf_counter()
    look = Look(adapter, [k for k, p in model.named_parameters() if p.requires_grad])
    moves = _mask(method, look, spec)
    if adapters is not None and moves is not None and (spec.salient or not method.masks_adapters):
        who = f"salient = {spec.salient:g}" if spec.salient else method.name
        raise UsageError(
            f"moves = {spec.moves}: {who} chooses among the model's own weights, "
            "and adapters would move them all: give it without lora"
        )
    mask = None
    if moves is not None:
        climbs_only = not method.masks_retain()
        mask = WeightMask(model, moves, method.name, climbs_only=climbs_only)
    seconds += time.perf_counter()
    result = LoopResult()
    if method.trains:
        result = _train(adapter, look, mask, checkpoint, log, progress)
    if mask is not None:
        mask.release()
    seconds -= time.perf_counter()
    if adapters is not None:
        adapters.merge_and_unload()
        look = Look(adapter, moving)  # merging may have replaced weights
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
        {name: float(part.float().mean()) for name, part in (moves or {}).items()},
    )


def _adapter_of(model: Any) -> type[Adapter]:
    """The adapter class for a model. The one for language models takes seconds to import."""
    if isinstance(model, Clip):
        from erasekit.unlearn.pair_batches import PairBatches

        return PairBatches
    from erasekit.unlearn.answer_batches import AnswerBatches

    return AnswerBatches


def _train(
    adapter: Adapter,
    look: Look,
    mask: WeightMask | None,
    checkpoint: Path | None,
    log: Log | None,
    progress: bool,
) -> LoopResult:
    """Run the steps of an erasure."""
    began = time.perf_counter()
    method, spec, model = adapter.method, adapter.spec, adapter.erased.model
    moving = [p for p in model.parameters() if p.requires_grad]
    adapter.plan()

    def loss(step: int) -> dict[str, Tensor]:
        forget, retain = adapter.at(step)
        if mask is not None:
            mask.begin(climbs=forget is not None)
        terms = method.loss(forget, retain, adapter.prompts)
        return _weighed(method, terms, moving) if method.weighs_gradients else terms

    def stop(history: list[dict[str, float]]) -> bool:
        history[-1].update(look.validation())
        checks = [row["validation_forget"] for row in history if "validation_forget" in row]
        return len(checks) > 1 and max(checks[-2:]) <= spec.stop_at

    # Preparation counts toward the cost; a resumed erasure repeats it.
    prepared = time.perf_counter() - began
    result = run_loop(
        model,
        torch.optim.Adam(
            moving, lr=spec.learning_rate, betas=(0.9, 0.98), fused=adapter.fused or None
        ),
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
                "task": adapter.task.describe(),
                "original": adapter.original.fingerprint(),
            }
        ),
        progress=progress,
    )
    result.seconds += prepared
    return result


def _mask(method: Method, look: Look, spec: EraseSpec) -> dict[str, Tensor] | None:
    """The method's own mask, intersected with the saliency mask if `spec.salient` is set."""
    own = method.mask(look)
    if not spec.salient:
        return own
    if own is not None and not method.masks_retain():
        raise UsageError(
            f"salient = {spec.salient:g}: {method.name} already uses such a mask: "
            "set its threshold instead"
        )
    forget, stays = look.squared_gradient("forget", _own_loss), look.preserved(_own_loss)
    salient = ratio_mask(forget, stays, spec.salient)
    return salient if own is None else {k: own[k] & salient[k] for k in own if k in salient}


def _own_loss(rows: Any) -> Tensor:
    return rows.loss


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
