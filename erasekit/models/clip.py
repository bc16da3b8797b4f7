"""A CLIP with its tokenizer and preprocessing: build, encode, save, load.

Models are stored as open_clip's own `local-dir:` folders, so that plain open_clip
loads them where erasekit is not installed.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import open_clip
import torch
from safetensors.torch import save
from tokenizers import Tokenizer
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize

from erasekit.device import quiet_libraries
from erasekit.errors import RunError, unknown
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
        folder: where it was loaded from; None for one that open_clip knows by name.
        mean, std: of the preprocessing, for each colour channel.
    """

    model: open_clip.CLIP
    tokenizer: Callable[[list[str]], Tensor]
    folder: Path | None
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalise uint8 pictures (n, 3, h, w) to floats on the model's device.

        Pictures of another size than the model reads are resized to it.
        """
        images = images.to(self.device)
        size = getattr(self.model.visual, "image_size", None)
        side = (size, size) if isinstance(size, int) else size
        if side is not None and tuple(side) != tuple(images.shape[-2:]):
            images = resize(images, list(side), InterpolationMode.BICUBIC, antialias=True)
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
        """Write an open_clip `local-dir:` folder: this model's weights, its source's texts.

        Raises:
            RunError: for a model that did not come from such a folder.
        """
        if self.folder is None:
            raise RunError("a model that open_clip knows by name has no folder to take texts from")
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


def remembering(tokenizer: Callable[[list[str]], Tensor]) -> Callable[[list[str]], Tensor]:
    """The same tokenizer, which reads each text once.

    Captions and prompts are finite lists that are encoded again and again, and reading them
    costs as much as a small text tower.
    """
    known: dict[str, Tensor] = {}

    def tokens(texts: list[str]) -> Tensor:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, tokenizer(new), strict=True))
        return torch.stack([known[text] for text in texts])

    return tokens


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


def with_random_weights(clip: Clip, seed: int) -> Clip:
    """The same architecture before any training, with the same tokenizer.

    Raises:
        RunError: for a model that did not come from a folder.
    """
    if clip.folder is None:
        raise RunError("a model that open_clip knows by name brings no configuration")
    fresh = build_model(read_json(clip.folder / CONFIG_FILE)["model_cfg"], seed)
    fresh = fresh.to(clip.device).eval().requires_grad_(False)
    return replace(clip, model=fresh)


def load_clip(source: Path | str, device: torch.device | str = "cpu") -> Clip:
    """Load any CLIP that open_clip can load, in eval mode.

    Args:
        source: an open_clip `local-dir:` folder; or, with a network, ``NAME:TAG`` of
            ``open_clip.list_pretrained()`` or ``hf-hub:...``.

    Raises:
        UsageError: for a tag that open_clip does not know.
        RunError: when it is missing, damaged, or cannot be fetched.
    """
    name = str(source)
    if name.startswith("hf-hub:"):
        return _load(name, None, name, None, device)
    architecture, sign, tag = name.partition(":")
    if sign and architecture in open_clip.list_models():
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        if tag not in tags:
            raise unknown(f"pretrained tag of {architecture}", tag, tags)
        return _load(architecture, tag, architecture, None, device)
    folder = Path(name.removeprefix("local-dir:"))
    for needed in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / needed).is_file():
            raise RunError(
                f"{folder} is not an open_clip model folder: {needed} is missing. "
                "Expected what `model/` in a run folder holds"
            )
    read_json(folder / CONFIG_FILE)
    return _load(f"local-dir:{folder}", None, f"local-dir:{folder}", folder, device)


def _load(
    name: str, tag: str | None, texts: str, folder: Path | None, device: torch.device | str
) -> Clip:
    try:
        with quiet_libraries():
            model = open_clip.create_model(
                name, pretrained=tag, require_pretrained=True, device=device
            )
            tokenizer = remembering(open_clip.get_tokenizer(texts))
        config = open_clip.get_model_preprocess_cfg(model)
        mean, std = tuple(config["mean"]), tuple(config["std"])
    except Exception as error:  # open_clip raises many kinds for damaged input
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        what = f"model folder {folder}" if folder else f"model {name}"
        raise RunError(f"{what} cannot be loaded: {reason}") from error
    model.eval()
    model = model.to(memory_format=torch.channels_last)
    # open_clip's other text towers have the same interface under another class.
    return Clip(cast("open_clip.CLIP", model), tokenizer, folder, mean, std)
