"""Conversion of a transformers `CLIPModel` folder to the equivalent open_clip model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from erasekit.errors import UsageError
from erasekit.files import read_json

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Files of a transformers model folder.
TRANSFORMERS_CONFIG = "config.json"
WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
_PICTURES_FILE = "preprocessor_config.json"
# Parameter names of transformers, and the corresponding ones of open_clip.
_NAMES = (
    ("vision_model.encoder.layers.", "visual.transformer.resblocks."),
    ("vision_model.embeddings.class_embedding", "visual.class_embedding"),
    ("vision_model.embeddings.patch_embedding", "visual.conv1"),
    ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
    ("vision_model.pre_layrnorm", "visual.ln_pre"),
    ("vision_model.post_layernorm", "visual.ln_post"),
    ("visual_projection.weight", "visual.proj"),
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("text_model.embeddings.token_embedding", "token_embedding"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm", "ln_final"),
    ("text_projection.weight", "text_projection"),
    (".self_attn.", ".attn."),
    (".layer_norm", ".ln_"),
    (".mlp.fc1", ".mlp.c_fc"),
    (".mlp.fc2", ".mlp.c_proj"),
)


def open_clip_config(folder: Path) -> dict[str, Any]:
    """The `open_clip_config.json` content for a `CLIPModel` folder.

    Raises:
        UsageError: for another kind of model, and for a CLIP without an open_clip equivalent.
    """
    kind = read_json(folder / TRANSFORMERS_CONFIG).get("model_type")
    if kind != "clip":
        raise UsageError(
            f"{folder} is a transformers model of type {kind}: give a CLIPModel (type clip), or an "
            "open_clip model folder"
        )
    from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
    from transformers import CLIPConfig

    whole: Any = CLIPConfig.from_pretrained(folder)  # fills in what the file leaves out
    vision, text = whole.vision_config, whole.text_config
    activations = {vision.hidden_act, text.hidden_act}
    if activations not in ({"gelu"}, {"quick_gelu"}) or {
        vision.layer_norm_eps,
        text.layer_norm_eps,
    } != {1e-5}:
        raise UsageError(
            f"{folder}: open_clip has no CLIP with hidden_act {' and '.join(sorted(activations))} "
            f"and layer_norm_eps {vision.layer_norm_eps}: give gelu or quick_gelu in both towers, "
            "and 1e-05"
        )
    _check_vocabulary(folder)
    pictures = folder / _PICTURES_FILE
    said = read_json(pictures) if pictures.is_file() else {}
    return {
        "model_cfg": {
            "embed_dim": whole.projection_dim,
            **({"quick_gelu": True} if activations == {"quick_gelu"} else {}),
            "vision_cfg": {
                "image_size": vision.image_size,
                "patch_size": vision.patch_size,
                "layers": vision.num_hidden_layers,
                "width": vision.hidden_size,
                "head_width": vision.hidden_size // vision.num_attention_heads,
                "mlp_ratio": vision.intermediate_size / vision.hidden_size,
            },
            "text_cfg": {
                "context_length": text.max_position_embeddings,
                "vocab_size": text.vocab_size,
                "width": text.hidden_size,
                "heads": text.num_attention_heads,
                "layers": text.num_hidden_layers,
                "mlp_ratio": text.intermediate_size / text.hidden_size,
            },
        },
        "preprocess_cfg": {
            "mean": said.get("image_mean", list(OPENAI_DATASET_MEAN)),
            "std": said.get("image_std", list(OPENAI_DATASET_STD)),
            "interpolation": "bilinear" if said.get("resample") == 2 else "bicubic",
            "resize_mode": "shortest",
        },
    }


def _check_vocabulary(folder: Path) -> None:
    """Refuse a vocabulary that differs from open_clip's tokenizer."""
    from open_clip import SimpleTokenizer

    for file, place in (("vocab.json", ()), ("tokenizer.json", ("model", "vocab"))):
        if (folder / file).is_file():
            words = read_json(folder / file)
            for key in place:
                words = words[key]
            if words != SimpleTokenizer().encoder:
                raise UsageError(
                    f"{folder / file} is not CLIP's vocabulary: convert the model to an "
                    "open_clip folder"
                )


def build_converted(config: dict[str, Any], weights: Path) -> nn.Module:
    """Build an open_clip model from a configuration and weights with transformers' names."""
    import open_clip
    from open_clip.factory import load_state_dict
    from open_clip.model import set_model_preprocess_cfg

    model = open_clip.CLIP(**config["model_cfg"])
    state: Any = load_state_dict(str(weights), weights_only=True)
    model.load_state_dict(_converted(state))
    set_model_preprocess_cfg(model, config["preprocess_cfg"])
    return model


def _converted(state: dict[str, Tensor]) -> dict[str, Tensor]:
    import torch

    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(".position_ids"):  # a constant buffer that older versions save
            continue
        for theirs, ours in _NAMES:
            name = name.replace(theirs, ours)
        found[name] = value.T if name in ("visual.proj", "text_projection") else value
    for name in [name for name in found if ".attn.q_proj." in name]:
        parts = [found.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        found[name.replace("q_proj.", "in_proj_")] = torch.cat(parts)
    return found
