"""Parsing of CLIP names, without torch or a network.

A model is named in one of these ways:

    ViT-B-32-quickgelu:openai     an open_clip architecture and a pretrained tag, downloaded once
    ViT-B-32-quickgelu:FILE       an open_clip architecture and a weights file
    FILE                          a weights file whose shapes match exactly one architecture
    hf-hub:ORG/NAME               an open_clip model on the hub, downloaded once
    local-dir:PATH, or PATH       a model folder of open_clip or of transformers' `CLIPModel`, or
                                  the hub cache's folder of one repository

Some architectures exist with and without QuickGELU, and a weights file may not tell which one it
needs. `ViT-B-32-gelu` explicitly selects `ViT-B-32`, without QuickGELU.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from erasekit.errors import UsageError, unknown

#: Files of a model folder.
CONFIG_FILE, WEIGHTS_FILE = "open_clip_config.json", "open_clip_model.safetensors"
HUB, FOLDER = "hf-hub:", "local-dir:"
#: Extensions of weights files.
WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")
#: Suffixes that select an architecture with or without QuickGELU.
QUICK, PLAIN = "-quickgelu", "-gelu"
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Named:
    """An open_clip architecture with a pretrained tag or a weights file.

    Attributes:
        plain: whether the name explicitly excludes QuickGELU.
    """

    architecture: str
    weights: str | Path
    plain: bool = False

    def __str__(self) -> str:
        return f"{self.architecture}:{self.weights}"


@dataclass(frozen=True)
class InFile:
    """A weights file without a named architecture."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class OnHub:
    """An open_clip model on the hub."""

    repository: str

    def __str__(self) -> str:
        return HUB + self.repository


@dataclass(frozen=True)
class InFolder:
    """A model folder of open_clip or of transformers."""

    path: Path

    def __str__(self) -> str:
        return FOLDER + str(self.path)


ModelName = Named | InFile | OnHub | InFolder


def check_model(source: Path | str, pretrained: str | None = None) -> ModelName:
    """Parse and check a model's name, without torch or a network.

    `locate` checks tags later, because open_clip's list of tags imports torch.

    Args:
        source: a name as described in the module; a `Path` is always a folder.
        pretrained: tag or weights file, for an architecture name without one.

    Raises:
        UsageError: for an unknown name (suggests the nearest), an architecture without weights,
            or a file that is missing or holds no weights.
    """
    text = str(source).strip()
    brought = _brought(source, text)
    if brought is not None:
        if pretrained is not None:
            raise UsageError(f"{text} brings its own weights: leave '{pretrained}' out")
        return brought
    name, _, weights = text.partition(":")
    # open_clip accepts ViT-B/32 and ViT-B-32, but its tokenizers only know the latter.
    architecture, known = name.replace("/", "-"), architectures()
    if weights and pretrained is not None:
        raise UsageError(f"{text} names its weights already: leave '{pretrained}' out")
    weights = weights or pretrained or ""
    plain = architecture.endswith(PLAIN) and architecture.removesuffix(PLAIN) + QUICK in known
    if plain:
        architecture = architecture.removesuffix(PLAIN)
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
    return Named(architecture, _weights_file(weights) or weights, plain)


def _brought(source: Path | str, text: str) -> InFile | OnHub | InFolder | None:
    """The model, if the name is of a kind that includes its weights."""
    file = Path(text).expanduser()
    if file.suffix and file.is_file():
        return InFile(_checked_file(file))
    if isinstance(source, Path):
        return _in_folder(source)
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
        return _in_folder(Path(path))
    return None


def _in_folder(folder: Path) -> InFolder:
    """A model folder; for a repository folder of the hub's cache, its snapshot."""
    snapshots = folder / "snapshots"
    if snapshots.is_dir():
        main, known = folder / "refs" / "main", sorted(p.name for p in snapshots.iterdir())
        chosen = main.read_text().strip() if main.is_file() else ""
        if chosen not in known and len(known) != 1:
            raise UsageError(
                f"{folder} is a repository in the hub's cache with {len(known)} snapshots, and "
                f"does not say which is the main one: give {snapshots}/NAME"
            )
        folder = snapshots / (chosen if chosen in known else known[0])
    if folder.is_dir():
        for path in filter(Path.is_file, folder.iterdir()):
            _check_pointer(path)
    return InFolder(folder)


def _check_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise UsageError(
                f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull` in its "
                "repository, or download the file"
            )


def _no_folder(text: str) -> UsageError:
    return UsageError(
        f"{text} does not exist: give an open_clip model folder, NAME:TAG of a pretrained model, "
        f"or {HUB}ORG/NAME"
    )


def _weights_file(text: str) -> Path | None:
    """The file that `text` names; None for a tag, which has no slash or extension."""
    path = Path(text).expanduser()
    if len(path.parts) == 1 and not path.suffix:
        return None
    if not path.is_file():
        raise UsageError(f"{text} does not exist: give a file of weights, or a pretrained tag")
    return _checked_file(path)


def _checked_file(path: Path) -> Path:
    if path.suffix not in WEIGHTS:
        raise UsageError(
            f"{path} is not a weights file: supported extensions are {', '.join(WEIGHTS)}"
        )
    _check_pointer(path)
    return path


def architectures() -> list[str]:
    """Names of open_clip's architectures, read from its files if it is not imported yet."""
    if (open_clip := sys.modules.get("open_clip")) is not None:
        return open_clip.list_models()  # includes architectures added at run time
    spec = find_spec("open_clip")
    homes = (spec.submodule_search_locations if spec else None) or []
    return sorted(p.stem for home in homes for p in Path(home).glob("model_configs/*.json"))
