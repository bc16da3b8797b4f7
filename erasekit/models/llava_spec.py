"""Size and training parameters of a small LLaVA's language model; without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from erasekit.errors import UsageError

#: The parts of a multimodal language model, by prefixes of their parameters' names.
MODULES = {
    "vision": ("model.vision_tower.", "model.visual.", "vision_tower."),
    "projector": ("model.multi_modal_projector.", "multi_modal_projector."),
    "language": ("model.language_model.", "language_model.", "lm_head."),
}


@dataclass(frozen=True)
class LlavaSpec:
    """Size and training parameters of a small LLaVA's language model.

    Attributes:
        width, layers, heads: size of the language model.
        steps: optimiser steps.
        visual_batch, text_batch: visual and text questions per step.
        learning_rate: peak learning rate of AdamW: linear warm-up, then a cosine down to zero.
        seed: seed of the initial weights and of the order of the questions.
    """

    width: int = 128
    layers: int = 2
    heads: int = 16
    steps: int = 1000
    visual_batch: int = 96
    text_batch: int = 24
    learning_rate: float = 3e-3
    warmup: int = 40
    weight_decay: float = 0.3  # strong, because pictures repeat and would be memorised
    seed: int = 0

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise UsageError(f"width = {self.width}: must be a multiple of heads = {self.heads}")
        for name in ("layers", "steps", "visual_batch", "text_batch", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} = {getattr(self, name)}: must be above 0, and finite")
