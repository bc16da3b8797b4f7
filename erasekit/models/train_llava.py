"""Training of small LLaVAs on frozen image towers, for the original and the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from erasekit.data.drawn.questions import question_texts
from erasekit.data.question_list import Questions
from erasekit.data.worlds import DrawingWorld
from erasekit.files import sha256_json
from erasekit.loop import LoopResult, cosine, run_loop
from erasekit.models.clip import Clip
from erasekit.models.llava import build_llava
from erasekit.models.llava_spec import LlavaSpec
from erasekit.models.mllm import EncodedList
from erasekit.models.trained import trained


def train_llava(
    clip: Clip,
    world: DrawingWorld,
    visual: Questions,
    text: Questions,
    spec: LlavaSpec,
    folder: Path,
    *,
    label: str = "training",
    progress: bool = True,
) -> LoopResult:
    """Train a projector and a language model on a CLIP's frozen image tower.

    The tokenizer comes from the world, so that the original and the oracle only differ in their
    tower and their training questions.

    Args:
        visual, text: the training questions.
        folder: receives the model, and the checkpoint during training.

    Raises:
        RunError: on a loss that is not finite.
    """
    mllm = build_llava(clip, question_texts(world), spec)
    mllm.model.requires_grad_(False)
    moving = list(mllm.parameters(["projector", "language"]).values())
    for parameter in moving:
        parameter.requires_grad_(True)
    listed = EncodedList(mllm, Questions(visual.items + text.items, visual.images))
    rng = np.random.default_rng(spec.seed)
    seen = _rounds(rng, len(visual), spec.steps * spec.visual_batch).reshape(spec.steps, -1)
    told = _rounds(rng, len(text), spec.steps * spec.text_batch).reshape(spec.steps, -1)
    rows = np.concatenate([seen, told + len(visual)], axis=1)

    def loss(step: int) -> dict[str, Tensor]:
        likelihood, tokens = mllm.log_likelihood(listed.take(rows[step]))
        return {"cross_entropy": -likelihood.sum() / tokens.sum()}

    result = run_loop(
        mllm.model,
        torch.optim.AdamW(
            moving,
            lr=spec.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=spec.weight_decay,
            fused=True,
        ),
        loss,
        steps=spec.steps,
        label=label,
        learning_rate=cosine(spec.learning_rate, spec.steps, spec.warmup),
        checkpoint=folder / "checkpoint.pt",
        identity=sha256_json(
            {
                **asdict(spec),
                "tower": clip.fingerprint(),
                "questions": [visual.fingerprint(), text.fingerprint()],
            }
        ),
        progress=progress,
    )
    mllm.model.requires_grad_(False)
    mllm.save(folder)
    return result


def trained_llava(
    kind: str,
    clip: Clip,
    world: DrawingWorld,
    visual: Questions,
    text: Questions,
    spec: LlavaSpec,
    *,
    without: Sequence[str] = (),
    progress: bool = True,
) -> Path:
    """The folder of a LLaVA trained on these questions; see `trained` and `train_llava`.

    Args:
        without: names of the concepts that no picture shows, for readers of the recipe.
    """
    recipe = {
        "world": world.spec.as_dict(),
        "train": asdict(spec),
        "tower": clip.fingerprint(),
        "questions": [visual.fingerprint(), text.fingerprint()],
        "without": list(without),
    }

    def train(folder: Path) -> LoopResult:
        label = f"training the {kind}"
        return train_llava(clip, world, visual, text, spec, folder, label=label, progress=progress)

    code = (__name__, type(world).__module__)
    return trained(kind, recipe, train, code=code, device=clip.device, precision="fp32")


def _rounds(rng: np.random.Generator, n: int, count: int) -> np.ndarray:
    """`count` row indices from repeated shuffled passes over a list of n."""
    return np.concatenate([rng.permutation(n) for _ in range(-(-count // n))])[:count]
