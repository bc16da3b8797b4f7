"""Features of each layer of a CLIP's towers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch
from open_clip.transformer import text_global_pool
from torch import Tensor, nn

from erasekit.models.clip import Clip

#: Name of the output features of a tower.
OUTPUT = "output"
#: Maximum number of transformer blocks to read, evenly spread, including the last.
MOST_BLOCKS = 4
_RESNET_STAGES = ("layer1", "layer2", "layer3", "layer4")


def image_layers(clip: Clip, images: Tensor, batch: int = 64) -> dict[str, np.ndarray]:
    """Image features of each layer, first to last, each of shape (n, width of the layer).

    Supports open_clip's ModifiedResNet (its four stages, mean over space) and VisionTransformer
    (some of its blocks, mean over tokens). Other towers only give their output.

    Args:
        images: uint8, shape (n, 3, height, width).
        batch: pictures per pass; small, because early layers are large.
    """
    tower = clip.model.visual
    stages = {n: m for n in _RESNET_STAGES if isinstance(m := getattr(tower, n, None), nn.Module)}
    return _read(
        stages or _some_blocks(tower),
        (clip.preprocess(images[i : i + batch]) for i in range(0, len(images), batch)),
        partial(clip.model.encode_image, normalize=True),
        lambda state, _: state.flatten(2).mean(2) if state.ndim == 4 else state.mean(1),
    )


def text_layers(clip: Clip, texts: list[str], batch: int = 256) -> dict[str, np.ndarray]:
    """Text features of each layer, first to last, each of shape (n, width of the layer).

    A block's feature is its state at the token that the tower pools, because a mean over tokens
    would still contain the embeddings of the name itself. Supports open_clip's transformers
    without a class token. Other towers only give their output.
    """
    tower = getattr(clip.model, "text", clip.model)  # a custom tower is a module of its own
    kind = getattr(tower, "pool_type", getattr(tower, "text_pool_type", "none"))
    end = getattr(tower, "eos_id", getattr(tower, "text_eos_id", None))
    known = kind != "none" and getattr(tower, "cls_emb", None) is None
    return _read(
        _some_blocks(tower) if known else {},
        (clip.tokenizer(texts[i : i + batch]).to(clip.device) for i in range(0, len(texts), batch)),
        partial(clip.model.encode_text, normalize=True),
        lambda state, tokens: text_global_pool(state, tokens, kind, end),
    )


def _some_blocks(tower: nn.Module) -> dict[str, nn.Module]:
    """Some blocks of a tower with open_clip's own transformer; none of other towers."""
    blocks: Sequence[nn.Module] = getattr(getattr(tower, "transformer", None), "resblocks", [])
    places = np.linspace(0, len(blocks), min(MOST_BLOCKS, len(blocks)) + 1)[1:].round()
    return {f"block{int(place)}": blocks[int(place) - 1] for place in places}


@torch.no_grad()
def _read(
    stages: Mapping[str, nn.Module],
    inputs: Iterable[Tensor],
    encode: Callable[[Tensor], Tensor],
    pool: Callable[[Tensor, Tensor], Tensor],
) -> dict[str, np.ndarray]:
    """Encode all inputs, and return the pooled features of each stage and the output."""
    states: dict[str, Tensor] = {}
    parts: dict[str, list[Tensor]] = {name: [] for name in (*stages, OUTPUT)}

    def keep(name: str) -> Callable[[nn.Module, tuple, Tensor], None]:
        return lambda _module, _args, state: states.update({name: state})

    with ExitStack() as stack:
        for name, stage in stages.items():
            stack.enter_context(stage.register_forward_hook(keep(name)))
        for batch in inputs:
            output = encode(batch)
            for name in stages:
                parts[name].append(pool(states[name], batch).float().cpu())
            parts[OUTPUT].append(output.float().cpu())
    return {name: torch.cat(found).numpy() for name, found in parts.items()}
