"""Training of small CLIPs from scratch: the original and, on less data, the oracle."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from erasekit.data.pairs import Pairs
from erasekit.data.worlds import PairsWorld
from erasekit.device import autocast
from erasekit.errors import RunError
from erasekit.files import sha256_json
from erasekit.loop import LoopResult, cosine, run_loop
from erasekit.models.batches import plan_batches
from erasekit.models.clip import MEAN, STD, build_model, normalise, read_config, save_new_model
from erasekit.models.contrastive import info_nce
from erasekit.models.muon import Muon
from erasekit.models.text_features import encode_text
from erasekit.models.tokenizer import train_tokenizer
from erasekit.models.train_spec import TrainSpec
from erasekit.models.trained import trained

MAX_LOGIT_SCALE = math.log(100)
#: Maximum context length of models trained here.
MOST_TOKENS = 80


def tokenizer_of(world: PairsWorld) -> Tokenizer:
    """The tokenizer of a whole world, including forgotten and holdout names."""
    return train_tokenizer(world.vocabulary())


def context_length_of(world: PairsWorld, tokenizer: Tokenizer) -> int:
    """Token count of the world's longest text, rounded up to a multiple of 4.

    At most `MOST_TOKENS`.
    """
    encoded = tokenizer.encode_batch(sorted(world.texts()))
    return min(-(-max(len(text.ids) for text in encoded) // 4) * 4, MOST_TOKENS)


def tokenize(tokenizer: Tokenizer, texts: list[str], context_length: int) -> Tensor:
    """Token ids padded with 0, shape (n, context_length).

    Raises:
        RunError: when a text is too long; captions are never truncated.
    """
    encoded = [e.ids for e in tokenizer.encode_batch(texts)]
    longest = max(map(len, encoded))
    if longest > context_length:
        text = texts[[len(ids) for ids in encoded].index(longest)]
        raise RunError(f"caption '{text}' has {longest} tokens; the model reads {context_length}")
    return torch.tensor([ids + [0] * (context_length - len(ids)) for ids in encoded])


def model_config(spec: TrainSpec, world: PairsWorld, tokenizer: Tokenizer) -> dict:
    """The model configuration, adapted to the world's picture size and vocabulary."""
    config = read_config(spec.config)
    config["vision_cfg"]["image_size"] = world.image_size
    config["text_cfg"]["vocab_size"] = tokenizer.get_vocab_size()
    config["text_cfg"]["context_length"] = context_length_of(world, tokenizer)
    return config


def train_clip(
    world: PairsWorld,
    pairs: Pairs,
    spec: TrainSpec,
    folder: Path,
    *,
    device: torch.device,
    label: str = "training",
    precision: str = "auto",
    progress: bool = True,
) -> LoopResult:
    """Train on `pairs` and write the model to `folder` as an open_clip folder.

    The tokenizer and the model's shape come from `world`, so that the original and the oracle
    only differ in their training pairs.

    Args:
        world: gives the vocabulary.
        pairs: the training pairs.
        folder: receives the model, and the checkpoint during training.

    Raises:
        RunError: on a loss that is not finite, or a caption that is too long.
    """
    tokenizer = tokenizer_of(world)
    config = model_config(spec, world, tokenizer)
    lessons, context = world.lessons(pairs), config["text_cfg"]["context_length"]
    if lessons.alike is not None:  # captions of a user's folder may have any length
        tokenizer.enable_truncation(context)
        cut = sum(bool(text.overflowing) for text in tokenizer.encode_batch(lessons.captions))
        if cut and progress:
            print(f"note: {cut} captions are cut after {context} tokens", file=sys.stderr)
    tokens = tokenize(tokenizer, lessons.captions, context)
    # Decodes pictures that are on disk.
    tokens, images = tokens.to(device), pairs.images[:].to(device)
    groups = None if lessons.alike is None else torch.from_numpy(lessons.alike).to(device)

    model = build_model(config, spec.seed).to(device).train()
    size = {"steps": spec.steps, "batch": spec.batch}
    plan = plan_batches(pairs.concepts, **size, seed=spec.seed, distinct=groups is None)
    save_new_model(model, config, tokenizer, folder)

    def loss(step: int) -> dict[str, Tensor]:
        index = torch.from_numpy(plan[step])
        with autocast(device, precision):
            image = model.encode_image(normalise(images[index], MEAN, STD), normalize=True)
            text = encode_text(model, tokens[index], normalize=True)
        own = None if groups is None else groups[index]
        alike = None if own is None else (own.unsqueeze(1) == own.unsqueeze(0)).any(2)
        scale = model.logit_scale.exp()
        return {"contrastive": info_nce(image.float(), text.float(), scale, alike)}

    @torch.no_grad()
    def clamp_scale() -> None:
        model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)

    result = run_loop(
        model,
        optimizer_of(model, spec),
        loss,
        steps=spec.steps,
        label=label,
        learning_rate=cosine(spec.learning_rate, spec.steps, spec.warmup),
        after_step=clamp_scale,
        precision=precision,
        checkpoint=folder / "checkpoint.pt",
        identity=sha256_json({**asdict(spec), "pairs": pairs.fingerprint()}),
        progress=progress,
    )
    save_new_model(model, config, tokenizer, folder)
    return result


def trained_clip(
    kind: str,
    world: PairsWorld,
    pairs: Pairs,
    spec: TrainSpec,
    *,
    device: torch.device,
    precision: str = "auto",
    without: Sequence[str] = (),
    label: str = "",
    progress: bool = True,
    **further: Any,
) -> Path:
    """The folder of a CLIP trained on `pairs`; see `trained` and `train_clip`.

    Args:
        without: names of the concepts that `pairs` leaves out, for readers of the recipe.
        further: further entries that identify the pairs, such as their split.
    """
    recipe = {
        "world": world.identity(),
        "train": asdict(spec),
        "without": list(without),
        "pairs": pairs.fingerprint(),
        **further,
    }

    def train(folder: Path) -> LoopResult:
        return train_clip(
            world,
            pairs,
            spec,
            folder,
            device=device,
            label=label or f"training the {kind}",
            precision=precision,
            progress=progress,
        )

    # The cache key includes the code of the world's class.
    code = (__name__, type(world).__module__)
    return trained(kind, recipe, train, code=code, device=device, precision=precision)


def optimizer_of(model: nn.Module, spec: TrainSpec) -> torch.optim.Optimizer:
    """The optimiser of a CLIP's training: Muon with AdamW, or AdamW alone."""
    # As in CLIP's recipe, gains, biases and the logit scale have no weight decay.
    inner = [p for n, p in model.named_parameters() if spec.optimizer == "muon" and _inner(n, p)]
    by_muon = set(inner)
    others = [p for p in model.parameters() if p not in by_muon]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
    ]
    common: dict[str, Any] = {"lr": spec.learning_rate, "betas": (0.9, 0.98), "eps": 1e-6}
    if not inner:
        return torch.optim.AdamW(groups, **common, fused=True)
    groups.append({"params": inner, "weight_decay": spec.weight_decay, "muon": True})
    return Muon(groups, **common, fused=True)


def _inner(name: str, weight: nn.Parameter) -> bool:
    """Whether Muon moves a weight: the matrices and filters between the first and last layers.

    The attention pool's matrices are excluded because orthogonalising them would cost as much as
    the rest of the step.
    """
    outer = ("embedding", "projection", "visual.conv1", "attnpool")
    return weight.ndim > 1 and not any(part in name for part in outer)
