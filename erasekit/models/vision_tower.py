"""An open_clip image tower as `transformers` calls one, under a registered configuration."""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling


def look(visual: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """A tower's map before the last (n, places, width), and its embedding (n, d)."""
    found = visual.forward_intermediates(pixels, indices=2)
    return found["image_intermediates"][0].flatten(2).mT, found["image_features"]


class OpenClipVisionConfig(PreTrainedConfig):
    """Configuration of an open_clip image tower inside a `transformers` model.

    Attributes:
        vision_cfg, embed_dim, quick_gelu: as in open_clip's own configuration.
        hidden_size: of a token: the width of the tower's last map, and of its embedding.
    """

    model_type = "open_clip_vision"

    embed_dim: int = 128
    vision_cfg: dict | None = None
    quick_gelu: bool = False
    hidden_size: int = 640


class OpenClipVisionModel(PreTrainedModel):
    """An open_clip image tower, as `transformers` calls one.

    A token stands for a place of the tower's map before the last, which LLaVA reads too; it
    holds what the tower has there, and the picture's embedding, by which CLIP ties it to words.
    So what is erased from the embedding is missed by the language model, and where things stand
    is not lost.
    """

    config_class = OpenClipVisionConfig
    main_input_name = "pixel_values"

    def __init__(self, config: OpenClipVisionConfig) -> None:
        super().__init__(config)
        shape: Any = config.vision_cfg
        no_text: Any = {"context_length": 1, "vocab_size": 1, "width": 1, "heads": 1, "layers": 1}
        self.visual = open_clip.CLIP(
            config.embed_dim, shape, no_text, quick_gelu=config.quick_gelu
        ).visual
        self.post_init()

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Tokens (n, places, hidden_size) of normalised pictures (n, 3, h, w)."""
        places, embedding = look(self.visual, pixel_values)
        # In the scale of the map's values, that a projector sees both alike.
        embedding = nn.functional.normalize(embedding, dim=-1) * embedding.shape[1] ** 0.5
        whole = embedding.unsqueeze(1).expand(-1, places.shape[1], -1)
        tokens = torch.cat([places, whole], dim=2)
        return BaseModelOutputWithPooling(
            last_hidden_state=tokens, pooler_output=embedding, hidden_states=(tokens,)
        )

    def _init_weights(self, module: nn.Module) -> None:
        """The tower brings its own weights, or open_clip's own beginning."""


AutoConfig.register("open_clip_vision", OpenClipVisionConfig, exist_ok=True)
AutoModel.register(OpenClipVisionConfig, OpenClipVisionModel, exist_ok=True)
