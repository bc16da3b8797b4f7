"""A CLIP with its tokenizer and preprocessing: build, encode, save, load.

Models are stored as open_clip `local-dir:` folders, so that open_clip can load them without
erasekit.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import open_clip
import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize

from erasekit.device import quiet_libraries
from erasekit.errors import RunError, reason
from erasekit.files import read_json, write_bytes, write_json
from erasekit.models.model_name import CONFIG_FILE, WEIGHTS_FILE, InFolder, check_model
from erasekit.models.pretrained import build, build_tokenizer, locate
from erasekit.models.text_features import encode_text
from erasekit.models.tokenizer import save_tokenizer
from erasekit.models.train_spec import CONFIGS

#: Files of a transformers tokenizer.
TOKENIZER_FILES = {
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt"),
    *("spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
}
#: Preprocessing of the models trained here: open_clip's default.
MEAN, STD = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


@dataclass(frozen=True)
class Clip:
    """A CLIP, ready to encode.

    Attributes:
        model: an open_clip model, in eval mode.
        tokenizer: function from a list of texts to token ids, shape (n, context_length).
        folder: folder from which it was loaded; None for a model that open_clip knows by name.
        mean, std: normalisation of the pictures, per colour channel.
        config: content of its `open_clip_config.json`; None for a model built by hand, which
            cannot be saved.
    """

    model: open_clip.CLIP
    tokenizer: Callable[[list[str]], Tensor]
    folder: Path | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    config: dict[str, Any] | None = None

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def interpolation(self) -> InterpolationMode:
        """Interpolation for resizing pictures, from the model's preprocessing; default bicubic."""
        asked = getattr(self.model.visual, "preprocess_cfg", {}).get("interpolation")
        return InterpolationMode.BILINEAR if asked == "bilinear" else InterpolationMode.BICUBIC

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalise uint8 pictures (n, 3, h, w) to floats on the model's device.

        Pictures of another size are resized to the model's. erasekit's pictures are square, for
        which all resize modes of open_clip agree.
        """
        images = images.to(self.device)
        size = getattr(self.model.visual, "image_size", None)
        side = (size, size) if isinstance(size, int) else size
        if side is not None and tuple(side) != tuple(images.shape[-2:]):
            images = resize(images, list(side), self.interpolation, antialias=True)
        return normalise(images, self.mean, self.std)

    @torch.no_grad()
    def encode_images(self, images: Tensor, batch: int = 256) -> Tensor:
        """Normalised image features on the CPU, shape (n, d), of uint8 pictures."""
        parts = [
            self.model.encode_image(self.preprocess(images[i : i + batch]), normalize=True).cpu()
            for i in range(0, len(images), batch)
        ]
        return torch.cat(parts) if parts else torch.empty(0)

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str], batch: int = 1024) -> Tensor:
        """Normalised text features on the CPU, shape (n, d); repeated texts are encoded once."""
        distinct = list(dict.fromkeys(texts))
        row = {text: i for i, text in enumerate(distinct)}
        parts = [
            encode_text(
                self.model, self.tokenizer(distinct[i : i + batch]).to(self.device), normalize=True
            ).cpu()
            for i in range(0, len(distinct), batch)
        ]
        return torch.cat(parts)[[row[text] for text in texts]] if parts else torch.empty(0)

    def fingerprint(self) -> str:
        """SHA-256 of the weights: equal for bit-identical models."""
        return weights_hash(self.model)

    def copy(self) -> Clip:
        """A copy with its own weights."""
        return replace(self, model=copy.deepcopy(self.model))

    def save(self, folder: Path) -> Path:
        """Write an open_clip `local-dir:` folder: weights, configuration, tokenizer.

        open_clip's own tokenizer needs no file. To load a model with a transformers text tower,
        open_clip builds the tower by its name, which needs a network.

        Raises:
            RunError: for a model without a configuration, or when the folder cannot be written.
        """
        if self.config is None:
            raise RunError("a model that was built by hand has no configuration to save")
        write_json(folder / CONFIG_FILE, self.config)
        foreign: Any = getattr(self.tokenizer, "source", None)
        if self.folder is not None:
            for path in sorted(self.folder.iterdir()):
                if path.name in TOKENIZER_FILES:
                    write_bytes(folder / path.name, path.read_bytes())
        elif hasattr(foreign, "save_pretrained"):
            try:
                foreign.save_pretrained(folder)
            except OSError as error:
                raise RunError(f"cannot write {folder}: {reason(error)}") from error
        _save_weights(self.model, folder / WEIGHTS_FILE)
        return folder


def weights_hash(model: nn.Module) -> str:
    """SHA-256 of a model's weights: equal for bit-identical models."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 pictures (n, 3, h, w) as floats, normalised with the given mean and deviation."""
    pixels = images.float().div_(255)
    pixels = (pixels - pixels.new_tensor(mean).view(3, 1, 1)) / pixels.new_tensor(std).view(3, 1, 1)
    return pixels.contiguous(memory_format=torch.channels_last)


def remembering(tokenizer: Callable[[list[str]], Tensor]) -> Callable[[list[str]], Tensor]:
    """Wrap a tokenizer so that it tokenizes each text only once.

    Captions and prompts are finite lists that are encoded repeatedly, and tokenizing them costs as
    much as a small text tower.
    """
    return _Remembering(tokenizer)


class _Remembering:
    def __init__(self, tokenizer: Callable[[list[str]], Tensor]) -> None:
        self.source = tokenizer
        self._known: dict[str, Tensor] = {}

    def __call__(self, texts: list[str]) -> Tensor:
        known = self._known
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, self.source(new), strict=True))
        return torch.stack([known[text] for text in texts])


def _save_weights(model: nn.Module, path: Path) -> None:
    weights = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    write_bytes(path, save(weights))


def read_config(name: str) -> dict:
    """Read a model configuration from `models/configs`, in open_clip's format."""
    return read_json(CONFIGS / f"{name}.json")


def build_model(config: dict, seed: int) -> open_clip.CLIP:
    """Build an open_clip CLIP with random weights drawn from `seed`."""
    torch.manual_seed(seed)
    plain = {**config, "text_cfg": dict(config["text_cfg"])}
    plain["text_cfg"].pop("hf_tokenizer_name", None)
    model = open_clip.CLIP(**plain)
    return model.to(memory_format=torch.channels_last)


def save_new_model(model: nn.Module, config: dict, tokenizer: Tokenizer, folder: Path) -> Path:
    """Write a model that erasekit built as an open_clip `local-dir:` folder."""
    write_json(
        folder / CONFIG_FILE,
        {
            "model_cfg": config,
            "preprocess_cfg": {
                "mean": list(MEAN),
                "std": list(STD),
                "interpolation": "bicubic",
                "resize_mode": "shortest",
            },
        },
    )
    save_tokenizer(tokenizer, folder, config["text_cfg"]["context_length"])
    _save_weights(model, folder / WEIGHTS_FILE)
    return folder


def with_random_weights(clip: Clip, seed: int) -> Clip:
    """The same architecture and tokenizer with random weights.

    Raises:
        RunError: for a model that was not loaded from a folder.
    """
    if clip.folder is None:
        raise RunError("a model that open_clip knows by name brings no configuration")
    fresh = build_model(read_json(clip.folder / CONFIG_FILE)["model_cfg"], seed)
    fresh = fresh.to(clip.device).eval().requires_grad_(False)
    return replace(clip, model=fresh)


def load_clip(
    source: Path | str, device: torch.device | str = "cpu", pretrained: str | None = None
) -> Clip:
    """Load any CLIP that open_clip can load, in eval mode.

    Args:
        source: ``NAME:TAG`` or ``NAME:FILE`` of an open_clip architecture, ``hf-hub:ORG/NAME``,
            ``local-dir:PATH``, a folder, or a file; see `models.model_name`.
        device: target device.
        pretrained: tag or file, for an architecture name without one.

    Raises:
        UsageError: for an unknown name (suggests the nearest), and for an architecture whose
            activation differs from that of the weights (names the one to use).
        RunError: when the model is missing, damaged, or cannot be downloaded.
    """
    name = check_model(source, pretrained)
    with quiet_libraries():
        found = locate(name)
        model, tokenizer = build(found), build_tokenizer(found)
    preprocessing = open_clip.get_model_preprocess_cfg(model)
    model = model.to(device).eval().to(memory_format=torch.channels_last)  # pyright: ignore
    return Clip(
        # open_clip's other model classes have the same interface.
        model=cast("open_clip.CLIP", model),
        tokenizer=remembering(tokenizer),
        # open_clip cannot read a transformers folder; such a model uses open_clip's tokenizer.
        folder=name.path if isinstance(name, InFolder) and found.weights is None else None,
        mean=tuple(preprocessing["mean"]),
        std=tuple(preprocessing["std"]),
        config=found.config,
    )
