"""Which CLIP a name means; needs neither torch nor a network.

A model is named in one of these ways:

    ViT-B-32-quickgelu:openai     an open_clip architecture and a pretrained tag, fetched once
    ViT-B-32-quickgelu:FILE       an open_clip architecture and a file of weights
    FILE                          a file of weights whose sizes are those of one architecture
    hf-hub:ORG/NAME               an open_clip model on the hub, fetched once
    local-dir:PATH, or PATH       a model folder of open_clip or of transformers' `CLIPModel`, or
                                  the folder that the hub's cache keeps for one repository

Some architectures exist with and without QuickGELU. `ViT-B-32-gelu` is `ViT-B-32` said on
purpose: where nothing in a file of weights tells which of the two it is, the kit asks.
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
#: Ends of the two forms of an architecture that exists with and without QuickGELU.
QUICK, PLAIN = "-quickgelu", "-gelu"
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Named:
    """An architecture that open_clip knows, with a pretrained tag or a file of weights.

    Attributes:
        plain: whether it was said to have no QuickGELU.
    """

    architecture: str
    weights: str | Path
    plain: bool = False

    def __str__(self) -> str:
        return f"{self.architecture}:{self.weights}"


@dataclass(frozen=True)
class InFile:
    """A file of weights, without the architecture that they belong to."""

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
    """A model that brings its own weights, if the name is of one."""
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
    """A model folder; in the hub's cache, the snapshot of the repository that the folder keeps."""
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
    """The file that `text` names; None for a tag, which is a word without a path or an end."""
    path = Path(text).expanduser()
    if len(path.parts) == 1 and not path.suffix:
        return None
    if not path.is_file():
        raise UsageError(f"{text} does not exist: give a file of weights, or a pretrained tag")
    return _checked_file(path)


def _checked_file(path: Path) -> Path:
    if path.suffix not in WEIGHTS:
        raise UsageError(f"{path} is no file of weights: known are {', '.join(WEIGHTS)}")
    _check_pointer(path)
    return path


def architectures() -> list[str]:
    """Names of open_clip's architectures, read from its files where it is not yet imported."""
    if (open_clip := sys.modules.get("open_clip")) is not None:
        return open_clip.list_models()  # with those that were added since
    spec = find_spec("open_clip")
    homes = (spec.submodule_search_locations if spec else None) or []
    return sorted(p.stem for home in homes for p in Path(home).glob("model_configs/*.json"))
