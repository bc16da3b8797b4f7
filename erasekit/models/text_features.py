"""Text features of a CLIP, without computing on padding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

#: Maximum number of pieces of a batch, each of rows of similar length.
MOST_PIECES = 3
#: Minimum number of rows in a piece: smaller matrix products use the processor badly.
LEAST_ROWS = 32


def encode_text(model: Any, tokens: Tensor, normalize: bool = False) -> Tensor:
    """Differentiable text features, equal to those of `model.encode_text` up to rounding.

    A causal text tower pools the end token, which attends to no position after it. Rows are
    therefore encoded in a few pieces of similar length, each cut after its longest row. On
    average, captions fill two fifths of the 20 positions of the default drawn world.

    Args:
        model: an open_clip model. A tower that is not causal, or pools otherwise, gets all tokens.
        tokens: token ids, shape (n, context_length).
        normalize: whether each row gets length 1.

    Returns:
        shape (n, d).
    """
    lengths = _lengths(model, tokens)
    if lengths is None or not len(tokens):
        return model.encode_text(tokens, normalize=normalize)
    order = lengths.argsort(stable=True)
    pieces = order.tensor_split(min(MOST_PIECES, max(1, len(tokens) // LEAST_ROWS)))
    longest = lengths[torch.stack([piece[-1] for piece in pieces])].tolist()
    encoded = [
        _encode(model, tokens[piece, :length], normalize)
        for piece, length in zip(pieces, longest, strict=True)
    ]
    return torch.cat(encoded)[order.argsort()]


def _lengths(model: Any, tokens: Tensor) -> Tensor | None:
    """Number of tokens of each row up to the pooled one; None if later ones matter as well."""
    tower = getattr(model, "text", model)  # a custom tower is a module of its own
    if getattr(tower, "attn_mask", None) is None or getattr(tower, "cls_emb", None) is not None:
        return None
    kind = getattr(tower, "text_pool_type", getattr(tower, "pool_type", None))
    if kind == "argmax":
        return tokens.argmax(1) + 1
    if kind == "eos":
        end = getattr(tower, "text_eos_id", getattr(tower, "eos_id", None))
        return (tokens == end).int().argmax(1) + 1
    return None


class _TextTower(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, normalize: bool) -> Tensor:
        return self.model.encode_text(tokens, normalize=normalize)  # type: ignore[operator]


def _encode(model: Any, tokens: Tensor, normalize: bool) -> Tensor:
    """Encode with the positions and the causal mask cut to the tokens' length."""
    tower, prefix = (model.text, "model.text.") if hasattr(model, "text") else (model, "model.")
    length = tokens.shape[1]
    cut = {
        f"{prefix}positional_embedding": tower.positional_embedding[:length],
        f"{prefix}attn_mask": tower.attn_mask[:length, :length],
    }
    return functional_call(_TextTower(model), cut, (tokens, normalize))
