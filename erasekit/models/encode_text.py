"""Text features without computing the padding behind each caption."""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from torch import Tensor
from torch.nn.functional import normalize as unit_length

#: Texts of similar length share a pass: at most so many passes, each of at least so many texts.
MOST_PASSES, LEAST_TEXTS = 4, 16


def encode_text(model: Any, tokens: Tensor, *, normalize: bool = False) -> Tensor:
    """Text features of an open_clip model, shape (n, d), differentiable.

    They equal those of ``model.encode_text`` up to rounding. A causal text tower reads a caption
    from the left, and CLIP takes its feature at the end-of-text token, so that nothing behind
    that token can change the feature. Captions are therefore sorted by length and read up to
    their ends, a few to a pass. Towers of any other kind read the padding as well.

    Args:
        tokens: ids, shape (n, context_length); the end-of-text token has the highest id.
        normalize: whether each feature gets length 1.
    """
    if not _reads_from_the_left(model):
        return model.encode_text(tokens, normalize=normalize)
    ends, order = tokens.argmax(dim=1).sort(stable=True)
    passes = min(MOST_PASSES, max(1, len(tokens) // LEAST_TEXTS))
    parts = [
        _features_at(model, tokens[rows], places)
        for rows, places in zip(order.chunk(passes), ends.chunk(passes), strict=True)
    ]
    features = torch.cat(parts)[order.argsort()]
    return unit_length(features, dim=-1) if normalize else features


def _reads_from_the_left(model: Any) -> bool:
    causal = getattr(model, "attn_mask", None) is not None
    return type(model) is open_clip.CLIP and causal and model.text_pool_type == "argmax"


def _features_at(model: Any, tokens: Tensor, ends: Tensor) -> Tensor:
    """Features at the places `ends`, which grow, of texts that are read up to the last of them."""
    length, kind = int(ends[-1]) + 1, model.transformer.get_cast_dtype()
    state = model.token_embedding(tokens[:, :length]) + model.positional_embedding[:length]
    state = model.transformer(state.to(kind), attn_mask=model.attn_mask[:length, :length])
    pooled = model.ln_final(state[torch.arange(len(ends), device=ends.device), ends])
    projection = model.text_projection
    if projection is None:
        return pooled
    return projection(pooled) if isinstance(projection, torch.nn.Linear) else pooled @ projection
