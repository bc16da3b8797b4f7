"""The engine of the multimodal methods: the same loop and the same masks, answers for features."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from erasekit.data.question_list import Questions
from erasekit.data.question_task import MllmTask
from erasekit.errors import RunError, UsageError
from erasekit.files import sha256_json
from erasekit.loop import run_loop
from erasekit.models.mllm import MODULES, Mllm
from erasekit.unlearn.answer_look import AnswerLook, in_module
from erasekit.unlearn.answers import AnswerMethod, Answers


@dataclass(frozen=True)
class MllmSpec:
    """How an erasure of a multimodal language model is run, whatever the method.

    Attributes:
        steps: of the optimiser.
        forget_batch, retain_batch, text_batch: questions of each kind in a step.
        learning_rate: of Adam; it falls to zero along a cosine.
        modules: which may move, joined by commas: vision, projector, language.
        lora: rank of the adapters that move in their place (LoRA, by `peft`); 0 for none.
        seed: of the order of the questions.
    """

    steps: int = 160
    forget_batch: int = 16
    retain_batch: int = 64
    text_batch: int = 16
    learning_rate: float = 4e-4
    modules: str = "vision,projector,language"
    lora: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "forget_batch", "retain_batch", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} = {getattr(self, name)}: must be above 0, and finite")
        for module in self.modules.split(","):
            if module not in MODULES:
                raise UsageError(
                    f"modules = {self.modules}: '{module}' is none of {', '.join(MODULES)}"
                )


@dataclass(frozen=True)
class MllmErasure:
    """An erased multimodal language model and how it came about.

    Attributes:
        mask: of a method that has one, by parameter name the share of weights that might climb.
    """

    model: Mllm
    method: str
    options: dict
    spec: MllmSpec
    history: list[dict[str, float]]
    seconds: float
    steps: int
    mask: dict[str, float]


def erase_mllm(
    original: Mllm,
    task: MllmTask,
    method: AnswerMethod,
    spec: MllmSpec | None = None,
    *,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> MllmErasure:
    """Run `method` on a copy of `original`, which stays as it is, bit for bit.

    Raises:
        RunError: when a loss or gradient is not finite, or a mask lets nothing move.
    """
    spec = spec or MllmSpec()
    began = time.perf_counter()
    erased = original.copy()
    erased.model.eval().requires_grad_(False)
    if spec.lora:
        erased = Mllm(_with_adapters(erased, spec), erased.processor)
    else:
        for parameter in erased.parameters(spec.modules.split(",")).values():
            parameter.requires_grad_(True)
    model = erased.model
    moving = {k: v for k, v in model.named_parameters() if v.requires_grad}
    mask = method.mask(AnswerLook(erased, task, moving, spec.retain_batch, spec.seed))
    guard = ClimbMask(moving, mask, always=method.masks_retain()) if mask is not None else None
    batches = Batches(task, method, spec)

    def loss(step: int) -> dict[str, Tensor]:
        forget, retain = batches.at(step)
        if guard is not None:
            guard.begin(climbs=forget is not None)
        return method.loss(
            None if forget is None else _answers(erased, original, forget, method, forget=True),
            None if retain is None else _answers(erased, original, retain, method, forget=False),
        )

    prepared = time.perf_counter() - began
    result = run_loop(
        model,
        torch.optim.Adam(list(moving.values()), lr=spec.learning_rate, betas=(0.9, 0.98)),
        loss,
        steps=spec.steps,
        label=f"erasing with {method.name}",
        learning_rate=lambda step: (
            spec.learning_rate * 0.5 * (1 + math.cos(math.pi * step / spec.steps))
        ),
        after_step=None if guard is None else guard.hold,
        checkpoint=checkpoint,
        identity=sha256_json(
            {
                "method": method.name,
                "options": asdict(method),  # type: ignore[call-overload]
                "spec": asdict(spec),
                "task": task.task.describe(),
                "original": original.fingerprint(),
            }
        ),
        progress=progress,
    )
    if guard is not None:
        guard.release()
    if spec.lora:
        model = model.merge_and_unload()
    model.requires_grad_(False)
    return MllmErasure(
        Mllm(model, erased.processor),
        method.name,
        asdict(method),  # type: ignore[call-overload]
        spec,
        result.history,
        prepared + result.seconds,
        result.steps,
        {name: float(part.float().mean()) for name, part in (mask or {}).items()},
    )


def _with_adapters(mllm: Mllm, spec: MllmSpec) -> Any:
    """The model with LoRA adapters beside every linear layer of the modules that may move."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise UsageError("lora needs peft: pip install 'erasekit[mllm]'") from error
    wanted = spec.modules.split(",")
    layers = [
        name
        for name, layer in mllm.model.named_modules()
        if isinstance(layer, nn.Linear) and any(in_module(f"{name}.", m) for m in wanted)
    ]
    layers = [name for name in layers if not name.endswith("lm_head")]  # it is the input's too
    if not layers:
        raise RunError(f"modules = {spec.modules}: no linear layer there for an adapter")
    config = LoraConfig(r=spec.lora, lora_alpha=2 * spec.lora, target_modules=layers)
    torch.manual_seed(spec.seed)
    return get_peft_model(mllm.model, config)


class ClimbMask:
    """Holds masked weights where they were, through each step that climbs.

    Adam's memory of retain steps would move a weight whose gradient is zero: what a step
    moved against the mask is put back, bit for bit.

    Args:
        parameters: all that may move, by name.
        mask: true where a weight may climb.
        always: whether it holds in retain steps too.

    Raises:
        RunError: for a name or a shape that is not there, and when nothing may climb.
    """

    def __init__(
        self, parameters: dict[str, nn.Parameter], mask: dict[str, Tensor], *, always: bool = False
    ) -> None:
        for name, part in mask.items():
            if name not in parameters or parameters[name].shape != part.shape:
                raise RunError(f"the mask names '{name}', which is no weight that may move")
        if not any(bool(part.any()) for part in mask.values()):
            raise RunError("the mask lets no weight climb: lower the threshold")
        self._always, self._holds = always, False
        self._pairs = [(parameters[name], part) for name, part in mask.items() if not part.all()]
        self._before: list[Tensor] = []
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(self._masking(part))
            for parameter, part in self._pairs
        ]

    def _masking(self, part: Tensor):
        def hook(parameter: Tensor) -> None:
            if self._holds and parameter.grad is not None:
                parameter.grad.mul_(part)

        return hook

    def begin(self, *, climbs: bool) -> None:
        """Before a step: remember where the masked weights are, if it must hold."""
        self._holds = climbs or self._always
        if self._holds:
            self._before = [parameter.detach().clone() for parameter, _ in self._pairs]

    def hold(self) -> None:
        """After the step: put back what moved against the mask."""
        if self._holds:
            with torch.no_grad():
                for (parameter, part), before in zip(self._pairs, self._before, strict=True):
                    parameter.copy_(parameter.where(part, before))

    def release(self) -> None:
        for hook in self._hooks:
            hook.remove()


class Batches:
    """Which questions are in which step, decided before the first.

    A retain batch holds visual questions, then text questions. Where forget and retain take
    turns, each is a step of its own.
    """

    def __init__(self, task: MllmTask, method: AnswerMethod, spec: MllmSpec) -> None:
        self._task = task
        self._needs = method.needs_forget, method.needs_retain
        self._turns = method.turns(len(task.forget), len(task.retain))
        self._rows = {
            name: _plan(len(questions), spec.steps, size, spec.seed + place)
            for place, (name, questions, size) in enumerate(
                (
                    ("forget", task.forget, spec.forget_batch),
                    ("retain", task.retain, spec.retain_batch),
                    ("text", task.text, spec.text_batch),
                )
            )
        }

    def at(self, step: int) -> tuple[Questions | None, Questions | None]:
        """The forget and the retain questions of a step."""
        forget = self._task.forget.take(self._rows["forget"][step])
        seen = self._task.retain.take(self._rows["retain"][step])
        told = self._task.text.take(self._rows["text"][step])
        retain = Questions(seen.items + told.items, seen.images)
        if self._turns:
            climbs = step % (self._turns + 1) == 0
            return (forget, None) if climbs else (None, retain)
        wants_forget, wants_retain = self._needs
        return forget if wants_forget else None, retain if wants_retain else None


def _plan(n: int, steps: int, size: int, seed: int) -> np.ndarray:
    """Rows of a list for each step, gone through in shuffled order again and again."""
    rng = np.random.default_rng(seed)
    rounds = -(-steps * size // n) if n else 0
    order = np.concatenate([rng.permutation(n) for _ in range(rounds)] or [np.empty(0, int)])
    return order[: steps * size].reshape(steps, size) if n else np.empty((steps, 0), int)


def _answers(
    erased: Mllm, original: Mllm, questions: Questions, method: AnswerMethod, *, forget: bool
) -> Answers:
    encoded = erased.encode(questions)
    whole = method.needs_original and not forget
    likelihood, tokens, probability = erased.likelihoods(encoded)
    before, original_probability = None, None
    if whole or (forget and method.needs_original_forget):
        with torch.no_grad():
            before, _, original_probability = original.likelihoods(encoded)
    return Answers(
        likelihood,
        tokens,
        before if forget else None,
        probability if whole else None,
        original_probability if whole else None,
    )
