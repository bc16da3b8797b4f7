"""A CLIP with its tokenizer and preprocessing: build, encode, save, load.

Models are stored as open_clip's own `local-dir:` folders, so that plain open_clip
loads them where erasekit is not installed.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import open_clip
import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from torch import Tensor, nn

from erasekit.device import quiet_libraries
from erasekit.errors import RunError
from erasekit.files import read_json, write_bytes, write_json
from erasekit.models.spec import CONFIGS
from erasekit.models.tokenizer import save_tokenizer

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
#: Preprocessing of the models trained here: open_clip's default.
MEAN, STD = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


@dataclass(frozen=True)
class Clip:
    """A CLIP, ready to encode.

    Attributes:
        model: an open_clip model, in eval mode.
        tokenizer: from a list of texts to token ids, shape (n, context_length).
        folder: where it was loaded from.
        mean, std: of the preprocessing, for each colour channel.
    """

    model: open_clip.CLIP
    tokenizer: Callable[[list[str]], Tensor]
    folder: Path
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalise uint8 pictures (n, 3, h, w) to floats on the model's device."""
        return normalise(images.to(self.device), self.mean, self.std)

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
        """Normalised text features on the CPU, shape (n, d); a repeated text costs once."""
        distinct = list(dict.fromkeys(texts))
        row = {text: i for i, text in enumerate(distinct)}
        parts = [
            self.model.encode_text(
                self.tokenizer(distinct[i : i + batch]).to(self.device), normalize=True
            ).cpu()
            for i in range(0, len(distinct), batch)
        ]
        return torch.cat(parts)[[row[text] for text in texts]] if parts else torch.empty(0)

    def fingerprint(self) -> str:
        """The sha256 of the weights: equal for models that are equal bit for bit."""
        digest = hashlib.sha256()
        for name, value in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def copy(self) -> Clip:
        """A Clip with weights of its own; this one stays as it is."""
        return Clip(copy.deepcopy(self.model), self.tokenizer, self.folder, self.mean, self.std)

    def save(self, folder: Path) -> Path:
        """Write an open_clip `local-dir:` folder: this model's weights, its source's texts."""
        for name in (CONFIG_FILE, "tokenizer.json", "tokenizer_config.json"):
            source = self.folder / name
            if source.is_file():
                write_bytes(folder / name, source.read_bytes())
        _save_weights(self.model, folder / WEIGHTS_FILE)
        return folder


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 pictures (n, 3, h, w) as floats with the given mean and deviation taken out."""
    pixels = images.float().div_(255)
    pixels = (pixels - pixels.new_tensor(mean).view(3, 1, 1)) / pixels.new_tensor(std).view(3, 1, 1)
    return pixels.contiguous(memory_format=torch.channels_last)


def _save_weights(model: nn.Module, path: Path) -> None:
    weights = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    write_bytes(path, save(weights))


def read_config(name: str) -> dict:
    """A model configuration of `models/configs`, in open_clip's own format."""
    return read_json(CONFIGS / f"{name}.json")


def build_model(config: dict, seed: int) -> open_clip.CLIP:
    """A fresh open_clip CLIP with weights drawn from `seed`."""
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


def load_clip(folder: Path, device: torch.device | str = "cpu") -> Clip:
    """Load an open_clip `local-dir:` folder, in eval mode.

    Raises:
        RunError: when the folder is missing, damaged, or not such a folder.
    """
    folder = Path(folder)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise RunError(
                f"{folder} is not an open_clip model folder: {name} is missing. "
                "Expected what `model/` in a run folder holds"
            )
    config = read_json(folder / CONFIG_FILE)
    try:
        with quiet_libraries():
            model = open_clip.create_model(
                f"local-dir:{folder}", require_pretrained=True, device=device
            )
            tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        pre = config["preprocess_cfg"]
        mean, std = tuple(pre["mean"]), tuple(pre["std"])
    except Exception as error:  # open_clip raises many kinds for damaged input
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"model folder {folder} cannot be loaded: {reason}") from error
    model.eval()
    model = model.to(memory_format=torch.channels_last)
    # open_clip's other text towers have the same interface under another class.
    return Clip(cast("open_clip.CLIP", model), tokenizer, folder, mean, std)
