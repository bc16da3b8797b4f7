"""Small things that several test files need."""

from __future__ import annotations

import hashlib

import open_clip
import torch
from torch import nn

from erasekit.models.clip import MEAN, STD, Clip

TEXT = {"width": 16, "heads": 2, "layers": 2, "vocab_size": 2048, "context_length": 64}
VIT = {"image_size": 48, "layers": 3, "width": 16, "head_width": 8, "patch_size": 16}
RESNET = {"image_size": 48, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}


def fingerprint(model: nn.Module) -> dict[str, str]:
    """A hash of every tensor of a model, buffers included, by name."""
    return {
        name: hashlib.sha256(value.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
        for name, value in model.state_dict().items()
    }


def unit(rows: int, columns: int, seed: int) -> torch.Tensor:
    """Random normalised features in double precision, shape (rows, columns)."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    return values / values.norm(dim=1, keepdim=True)


def build(kind: str, like: Clip | None = None) -> Clip:
    """A CLIP of a few thousand weights, in each of open_clip's classes."""
    text = dict(TEXT)
    if like is not None:
        text |= {
            "vocab_size": like.model.vocab_size,
            "context_length": like.model.context_length,
        }
    torch.manual_seed(3)
    made = {
        "vit": lambda: open_clip.CLIP(16, VIT, text),
        "resnet": lambda: open_clip.CLIP(16, RESNET, text),
        "custom": lambda: open_clip.CustomTextCLIP(16, VIT, text),
    }[kind]()
    made.eval().requires_grad_(False)
    if kind == "resnet":  # a fresh one has its residual branches switched off
        for name, gain in made.visual.named_parameters():
            if name.endswith("bn3.weight"):
                gain.data.fill_(1)
    tokenizer = like.tokenizer if like is not None else lambda texts: torch.zeros(len(texts), 64)
    return Clip(made, tokenizer, None, MEAN, STD)
