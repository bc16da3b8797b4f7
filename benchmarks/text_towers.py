"""Text towers on cut rows against whole rows: the small one here, and one of ViT-B/32's shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import mean, median
from typing import Any

from timing import in_turns, ratio

#: Captions of a batch for each tower.
ROWS = {"small": 128, "ViT-B-32": 32}


def text_towers(plan: dict) -> list[dict]:
    """Forward and backward passes of both towers on the drawn world's captions.

    The large tower has random weights: its time does not depend on them.
    """
    import open_clip
    import torch

    from erasekit.experiment.kinds import load
    from erasekit.models.text_features import encode_text

    experiment = load(plan["profile"])
    captions = list(experiment.task.retain.captions)
    torch.manual_seed(0)
    large = open_clip.create_model("ViT-B-32", pretrained=None)
    towers = {
        "small": (experiment.original.copy().model, experiment.original.tokenizer),
        "ViT-B-32": (large, open_clip.SimpleTokenizer()),
    }
    rows = []
    for name, (model, tokenizer) in towers.items():
        model.requires_grad_(True)
        tokens = tokenizer(captions[:: len(captions) // ROWS[name]][: ROWS[name]])
        pieces = {"cut": partial(encode_text, model), "whole": model.encode_text}
        seconds = in_turns(
            {piece: partial(_passes, encode, tokens) for piece, encode in pieces.items()},
            5 * plan["repeats"],
        )
        rows.append(
            {
                "tower": name,
                "rows": len(tokens),
                "context": tokens.shape[1],
                "tokens": mean((tokens != 0).sum(1).tolist()),
                **{piece: median(found) for piece, found in seconds.items()},
                "ratio": ratio(seconds["cut"], seconds["whole"]),
            }
        )
    return rows


def _passes(encode: Callable[[Any], Any], tokens: Any) -> None:
    encode(tokens).square().sum().backward()
