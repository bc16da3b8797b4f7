"""An open_clip image tower with the `transformers` interface and a registered configuration."""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling


def look(visual: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """A tower's penultimate feature map (n, places, width), and its embedding (n, d)."""
    found = visual.forward_intermediates(pixels, indices=2)
    return found["image_intermediates"][0].flatten(2).mT, found["image_features"]


class OpenClipVisionConfig(PreTrainedConfig):
    """Configuration of an open_clip image tower inside a `transformers` model.

    Attributes:
        vision_cfg, embed_dim, quick_gelu: as in open_clip's configuration.
        hidden_size: width of a token: that of the feature map plus that of the embedding.
    """

    model_type = "open_clip_vision"

    embed_dim: int = 128
    vision_cfg: dict | None = None
    quick_gelu: bool = False
    hidden_size: int = 640


class OpenClipVisionModel(PreTrainedModel):
    """An open_clip image tower with the `transformers` interface.

    A token stands for a position of the tower's penultimate feature map, which LLaVA uses too. It
    concatenates the map's features there and the picture's embedding, which CLIP matches with
    text. The language model thus depends on the embedding, from which concepts are erased, and
    still receives spatial information.
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
        # Scale the embedding like the map's values, so that the projector weights both equally.
        embedding = nn.functional.normalize(embedding, dim=-1) * embedding.shape[1] ** 0.5
        whole = embedding.unsqueeze(1).expand(-1, places.shape[1], -1)
        tokens = torch.cat([places, whole], dim=2)
        return BaseModelOutputWithPooling(
            last_hidden_state=tokens, pooler_output=embedding, hidden_states=(tokens,)
        )

    def _init_weights(self, module: nn.Module) -> None:
        """Keep the tower's loaded weights, or open_clip's initialisation."""


AutoConfig.register("open_clip_vision", OpenClipVisionConfig, exist_ok=True)
AutoModel.register(OpenClipVisionConfig, OpenClipVisionModel, exist_ok=True)
