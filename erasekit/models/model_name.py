"""Which CLIP a name means; needs neither torch nor a network.

A model is named in one of these ways:

    ViT-B-32-quickgelu:openai     an open_clip architecture and a pretrained tag, fetched once
    ViT-B-32-quickgelu:FILE       an open_clip architecture and a file of weights
    hf-hub:ORG/NAME               an open_clip model on the hub, fetched once
    local-dir:PATH, or PATH       an open_clip model folder
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from erasekit.errors import UsageError, unknown

#: What a model folder holds.
CONFIG_FILE, WEIGHTS_FILE = "open_clip_config.json", "open_clip_model.safetensors"
HUB, FOLDER = "hf-hub:", "local-dir:"
#: Ends of files that hold weights.
WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Named:
    """An architecture that open_clip knows, with a pretrained tag or a file of weights."""

    architecture: str
    weights: str | Path

    def __str__(self) -> str:
        return f"{self.architecture}:{self.weights}"


@dataclass(frozen=True)
class OnHub:
    """An open_clip model on the hub."""

    repository: str

    def __str__(self) -> str:
        return HUB + self.repository


@dataclass(frozen=True)
class InFolder:
    """An open_clip model folder."""

    path: Path

    def __str__(self) -> str:
        return FOLDER + str(self.path)


ModelName = Named | OnHub | InFolder


def check_model(source: Path | str, pretrained: str | None = None) -> ModelName:
    """Read a model's name and refuse what cannot be one; needs neither torch nor a network.

    Tags are looked up by `locate`, since open_clip's list of them comes with torch.

    Args:
        source: see the module; a `Path` is always a folder.
        pretrained: tag or file of weights, for an architecture named without.

    Raises:
        UsageError: for a name that is none of these, with the nearest that is; for an
            architecture without weights; for a file that is not there or holds no weights.
    """
    text = str(source).strip()
    brought = _brought(source, text)
    if brought is not None:
        if pretrained is not None:
            raise UsageError(f"{text} brings its own weights: leave '{pretrained}' out")
        return brought
    name, _, weights = text.partition(":")
    # open_clip writes ViT-B/32 and ViT-B-32 for the same model, and its tokenizers know one.
    architecture, known = name.replace("/", "-"), architectures()
    if weights and pretrained is not None:
        raise UsageError(f"{text} names its weights already: leave '{pretrained}' out")
    weights = weights or pretrained or ""
    if architecture not in known:
        if weights:
            raise unknown("architecture", name, known)
        near = unknown("model", name, known)
        if "did you mean" in str(near) and Path(name).name == name:
            raise near
        raise _no_folder(text)
    if not weights:
        raise UsageError(
            f"{architecture} is an architecture without weights: write {architecture}:TAG, "
            f"or {architecture}:FILE; open_clip.list_pretrained() has the tags"
        )
    return Named(architecture, _weights_file(weights) or weights)


def _brought(source: Path | str, text: str) -> OnHub | InFolder | None:
    """A model that brings its own weights, if the name is of one."""
    if isinstance(source, Path):
        return InFolder(source)
    if text.startswith(HUB):
        repository = text.removeprefix(HUB)
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise UsageError(f"{text} names no model: write {HUB}ORG/NAME")
        return OnHub(repository)
    if text.startswith(FOLDER) or not text or Path(text).is_dir():
        path = text.removeprefix(FOLDER)
        if not path:
            raise UsageError("a model's name is empty: give NAME:TAG, a folder, or hf-hub:ORG/NAME")
        if not Path(path).is_dir():
            raise _no_folder(path)
        return InFolder(Path(path))
    return None


def _no_folder(text: str) -> UsageError:
    return UsageError(
        f"{text} does not exist: give an open_clip model folder, NAME:TAG of a pretrained model, "
        f"or {HUB}ORG/NAME"
    )


def _weights_file(text: str) -> Path | None:
    """The file that `text` names; None for a tag, which is a word without a path or an end."""
    path = Path(text).expanduser()
    if len(path.parts) == 1 and not path.suffix:
        return None
    if not path.is_file():
        raise UsageError(f"{text} does not exist: give a file of weights, or a pretrained tag")
    if path.suffix not in WEIGHTS:
        raise UsageError(f"{text} is no file of weights: known are {', '.join(WEIGHTS)}")
    return path


def architectures() -> list[str]:
    """Names of open_clip's architectures, read from its files where it is not yet imported."""
    if (open_clip := sys.modules.get("open_clip")) is not None:
        return open_clip.list_models()  # with those that were added since
    spec = find_spec("open_clip")
    homes = (spec.submodule_search_locations if spec else None) or []
    return sorted(p.stem for home in homes for p in Path(home).glob("model_configs/*.json"))
