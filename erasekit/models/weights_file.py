"""Inspection of a weights file, without allocating memory for the model."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erasekit.errors import RunError, UsageError, reason
from erasekit.models.model_name import QUICK, Named
from erasekit.models.quick_gelu import (
    ask_activation,
    check_activation,
    registered_as_quick,
    sibling,
)

#: Size entries that OpenAI's files hold among the weights.
OPENAI_SIZES = {"input_resolution", "context_length", "vocab_size"}
# Sizes that fit any machine's memory; for these, open_clip reports what is wrong.
_NO_HARM = 1_000_000


@dataclass(frozen=True)
class Contents:
    """The contents of a weights file.

    Attributes:
        shapes: shape of each tensor by name.
        half: whether weights have half precision.
    """

    shapes: dict[str, tuple[int, ...]]
    half: bool

    @property
    def openai(self) -> bool:
        """Whether the file has OpenAI's format, whose models were trained with QuickGELU."""
        return self.shapes.keys() >= OPENAI_SIZES


def contents(path: Path) -> Contents:
    """Read names, shapes and precision of the weights in a file, without the weights.

    For a training checkpoint, it reads `state_dict`, and strips `module.` from the names.
    """
    if path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(one.get_shape()) for name, one in slices.items()}
            return Contents(shapes, any(s.get_dtype() in ("F16", "BF16") for s in slices.values()))
    import torch
    from open_clip.factory import load_state_dict

    state: Any = load_state_dict(str(path), device="meta", weights_only=True)
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    return Contents(
        {name: tuple(value.shape) for name, value in tensors.items()},
        any(value.dtype in (torch.float16, torch.bfloat16) for value in tensors.values()),
    )


def _fitting(found: Contents) -> list[str]:
    """The open_clip architectures whose weights have exactly these names and shapes."""
    import open_clip
    import torch

    width = found.shapes.get("text_projection", (0,))[-1]
    names = []
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name) or {}
        plain = config.keys() <= {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg"}
        if not plain or config["embed_dim"] != width or "timm_model_name" in config["vision_cfg"]:
            continue
        with torch.device("meta"):
            state = open_clip.CLIP(**config).state_dict()
        shapes = {name: tuple(value.shape) for name, value in state.items()}
        if shapes == {key: one for key, one in found.shapes.items() if key not in OPENAI_SIZES}:
            names.append(name)
    return names


def recognised(path: Path) -> Named:
    """Find the architecture of a weights file from the names and shapes of its weights.

    Raises:
        UsageError: when no architecture or several architectures match.
        RunError: when the file is damaged.
    """
    try:
        inside = contents(path)
    except Exception as error:  # torch and safetensors raise many types for damaged input
        raise RunError(f"weights {path} cannot be loaded: {load_reason(error)}") from error
    names = _fitting(inside)
    quick = True if inside.openai else registered_as_quick(file=path.name)
    if quick is not None:
        names = [name for name in names if quick == name.endswith(QUICK)] or names
    if len(names) == 1:
        return Named(names[0], path)
    if len(names) == 2 and sibling(names[0]) == names[1]:
        raise ask_activation(path, names[0])
    raise UsageError(
        f"{path} does not say its architecture: write NAME:{path}, with "
        + (f"one of {', '.join(names)}" if names else "the name that open_clip has for it")
    )


def check_contents(source: Named, inside: Contents) -> None:
    """Refuse an activation that the weights contradict or leave ambiguous.

    Half-precision weights may be OpenAI's, which need QuickGELU. For an architecture that exists
    with and without QuickGELU, the user must then name the variant explicitly.
    """
    if inside.openai:
        check_activation(source, quick=True)
    if (
        inside.half
        and not source.plain
        and isinstance(source.weights, Path)
        and sibling(source.architecture) == source.architecture + QUICK
        and registered_as_quick(file=source.weights.name) is None
    ):
        raise ask_activation(source.weights, source.architecture)


def check_size(config: dict[str, Any], weights: Path, what: str) -> None:
    """Refuse a configuration that needs more values than the weights file can hold.

    Raises:
        UsageError: names both numbers.
    """
    asked, size = _values(config["model_cfg"]), weights.stat().st_size
    if asked > max(size, _NO_HARM):  # a value takes at least one byte
        raise UsageError(
            f"{what}: its configuration describes at least {asked:,} weights, and {weights.name} "
            f"has {size:,} bytes: give the configuration that belongs to these weights"
        )


def _values(model: dict[str, Any]) -> int:
    """Lower bound on a model's number of values; a size that is not a number counts as 0."""

    def size(part: dict[str, Any], name: str, default: int) -> int:
        value = part.get(name, default)
        several = value if isinstance(value, list) else [value]
        numbers = [each for each in several if isinstance(each, int | float)]
        return int(min(max(0, 0, *numbers), 1e18))

    vision, text = model["vision_cfg"], model["text_cfg"]
    total = embed = size(model, "embed_dim", 0)
    if "hf_model_name" not in text:
        width, context = size(text, "width", 512), size(text, "context_length", 77)
        total += width * (size(text, "vocab_size", 49408) + context + embed) + context**2
        total += size(text, "layers", 12) * width**2 * (1 + 2 * size(text, "mlp_ratio", 4))
    if "timm_model_name" not in vision:
        width, patch = size(vision, "width", 768), size(vision, "patch_size", 16)
        total += width * (embed + (size(vision, "image_size", 224) // max(patch, 32)) ** 2)
        total += size(vision, "layers", 12) * width**2 * (1 + 2 * size(vision, "mlp_ratio", 4))
    return total


def load_reason(error: Exception) -> str:
    """The message of a library's error, in one line."""
    if isinstance(error, pickle.UnpicklingError):
        return (
            "its file holds more than weights, and reading that could run any code: save the "
            "weights alone, as safetensors"
        )
    return reason(error)
