"""Building a small LLaVA: a CLIP's image tower, a projector, and a language model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import processors
from transformers import (
    CLIPImageProcessor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from erasekit.errors import RunError
from erasekit.files import read_json
from erasekit.models.clip import CONFIG_FILE, Clip
from erasekit.models.llava_spec import LlavaSpec
from erasekit.models.mllm import Mllm
from erasekit.models.tokenizer import BOS, EOS, PAD, train_tokenizer
from erasekit.models.vision_tower import OpenClipVisionConfig, look

IMAGE = "<image>"
#: Chat template for one turn of a conversation.
_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + IMAGE + "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)


def build_llava(clip: Clip, texts: Sequence[str], spec: LlavaSpec) -> Mllm:
    """Build a small LLaVA from a CLIP's image tower and newly initialised weights.

    Args:
        clip: a CLIP from an open_clip folder.
        texts: texts to train its tokenizer on.
        spec: width, layers and heads of the language model, and the seed of its weights.
    """
    tokenizer: Any = _tokenizer(texts)
    tower, places, size = _tower_config(clip)
    language = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=spec.width,
        intermediate_size=3 * spec.width,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        num_key_value_heads=spec.heads,
        max_position_embeddings=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model_config = LlavaConfig(
        vision_config=tower,
        text_config=language,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        # Input and output share embeddings, so that a name is learned once for both.
        tie_word_embeddings=True,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=places,
    )
    torch.manual_seed(spec.seed)
    model: Any = LlavaForConditionalGeneration(model_config).eval()
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    visual = model.model.vision_tower.visual
    visual.load_state_dict(clip.model.visual.state_dict())
    processor = LlavaProcessor(
        CLIPImageProcessor(
            size={"height": size, "width": size},
            do_center_crop=False,
            image_mean=list(clip.mean),
            image_std=list(clip.std),
        ),
        tokenizer,
        patch_size=size // math.isqrt(places),
        vision_feature_select_strategy="full",
        chat_template=_TEMPLATE,
    )
    return Mllm(model.to(clip.device), processor)


def _tower_config(clip: Clip) -> tuple[OpenClipVisionConfig, int, int]:
    """The tower's configuration, the number of positions of its map, and the image size."""
    if clip.folder is None:
        raise RunError("a LLaVA is built on a CLIP that came from an open_clip folder")
    config = read_json(clip.folder / CONFIG_FILE)["model_cfg"]
    size = config["vision_cfg"]["image_size"]
    with torch.no_grad():
        places, embedding = look(clip.model.visual, torch.zeros(1, 3, size, size).to(clip.device))
    tower = OpenClipVisionConfig(
        embed_dim=config["embed_dim"],
        vision_cfg=config["vision_cfg"],
        quick_gelu=config.get("quick_gelu", False),
        hidden_size=places.shape[2] + embedding.shape[1],
    )
    return tower, places.shape[1], size


def _tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    known = train_tokenizer(texts)
    # No end-of-text token after the prompt, because the answer follows.
    begin = (BOS, known.token_to_id(BOS))
    known.post_processor = processors.TemplateProcessing(f"{BOS} $A", special_tokens=[begin])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=known, pad_token=PAD, bos_token=BOS, eos_token=EOS
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    return tokenizer
