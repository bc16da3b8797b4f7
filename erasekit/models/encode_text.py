"""Text features without computing the padding behind each caption."""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from torch import Tensor
from torch.nn.functional import normalize as unit_length

#: Texts are read up to one of so many lengths, each in a pass of its own.
LENGTHS = 5


def encode_text(model: Any, tokens: Tensor, *, normalize: bool = False) -> Tensor:
    """Text features of an open_clip model, shape (n, d), differentiable.

    They equal those of ``model.encode_text`` up to rounding. A causal text tower reads a caption
    from the left, and CLIP takes its feature at the end-of-text token, so that nothing behind
    that token can change the feature. Each caption is therefore read up to the fifth of the
    context in which it ends. That length depends on the caption alone: so do the features,
    whatever else is in the batch. Towers of any other kind read the padding as well.

    Args:
        tokens: ids, shape (n, context_length); the end-of-text token has the highest id.
        normalize: whether each feature gets length 1.
    """
    if not _reads_from_the_left(model):
        return model.encode_text(tokens, normalize=normalize)
    ends = tokens.argmax(dim=1)
    step = -(-tokens.shape[1] // LENGTHS)
    fifths = ends // step
    groups = [(fifths == fifth).nonzero()[:, 0] for fifth in fifths.unique()]
    parts = [_features_at(model, tokens[rows], ends[rows], step) for rows in groups]
    features = torch.cat(parts)[torch.cat(groups).argsort()]
    return unit_length(features, dim=-1) if normalize else features


def _reads_from_the_left(model: Any) -> bool:
    causal = getattr(model, "attn_mask", None) is not None
    return type(model) is open_clip.CLIP and causal and model.text_pool_type == "argmax"


def _features_at(model: Any, tokens: Tensor, ends: Tensor, step: int) -> Tensor:
    """Features at the places `ends` of texts that end within the same `step` places."""
    length, kind = (int(ends[0]) // step + 1) * step, model.transformer.get_cast_dtype()
    tokens, places = tokens[:, :length], model.positional_embedding[:length]
    state = (model.token_embedding(tokens) + places).to(kind)
    state = model.transformer(state, attn_mask=model.attn_mask[:length, :length])
    pooled = model.ln_final(state[torch.arange(len(ends), device=ends.device), ends])
    projection = model.text_projection
    if projection is None:
        return pooled
    return projection(pooled) if isinstance(projection, torch.nn.Linear) else pooled @ projection
