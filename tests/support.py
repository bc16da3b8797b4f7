"""Small things that several test files need."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


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
