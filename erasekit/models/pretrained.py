"""Locating and building any CLIP by its name: configuration, weights and tokenizer.

Each way to name a model is tested on small random weights in the published formats, not on
published weights.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from erasekit.errors import ErasekitError, RunError, UsageError, unknown
from erasekit.files import read_json
from erasekit.models.model_name import (
    CONFIG_FILE,
    FOLDER,
    QUICK,
    WEIGHTS,
    WEIGHTS_FILE,
    InFile,
    InFolder,
    ModelName,
    Named,
    OnHub,
)
from erasekit.models.quick_gelu import (
    activation_beside,
    check_activation,
    check_config,
    registered_as_quick,
    sibling,
    wrong_architecture,
)
from erasekit.models.transformers_clip import (
    TRANSFORMERS_CONFIG,
    WEIGHTS_FILES,
    build_converted,
    open_clip_config,
)
from erasekit.models.weights_file import (
    OPENAI_SIZES,
    check_contents,
    check_size,
    contents,
    load_reason,
    recognised,
)
from erasekit.text import shown

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Preprocessing parameters that are published with a model.
_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")
#: File names that open_clip prefers; it accepts any other name if there is only one file.
_KNOWN_WEIGHTS = (WEIGHTS_FILE, *(f"open_clip_pytorch_model{end}" for end in WEIGHTS))
_VOCABULARY = 49408  # of open_clip's own tokenizer, and the default of a configuration
T = TypeVar("T")


@dataclass(frozen=True)
class Located:
    """A model whose files are available locally.

    Attributes:
        source: its name.
        config: content of its `open_clip_config.json`: ``model_cfg`` and ``preprocess_cfg``.
        weights: the weights file, if open_clip cannot find it by the name.
    """

    source: ModelName
    config: dict[str, Any]
    weights: Path | None = None


def locate(source: ModelName) -> Located:
    """Find a model's configuration and weights, and download missing files.

    Raises:
        UsageError: for an unknown tag (suggests the nearest), and for a QuickGELU mismatch (names
            the architecture to use).
        RunError: when files are missing, damaged, or cannot be downloaded.
    """
    match source:
        case Named():
            return _locate_named(source)
        case InFile():
            return _locate_named(recognised(source.path))
        case OnHub():
            return _locate_on_hub(source)
        case InFolder():
            return _locate_in_folder(source)


def _locate_named(source: Named) -> Located:
    import open_clip

    architecture, weights = source.architecture, source.weights
    if isinstance(weights, Path):
        published = _usual_preprocessing(architecture)
        quick = registered_as_quick(file=weights.name)
    else:
        published = _published(source, weights)
        quick = bool(published.get("quick_gelu"))
    if quick is not None:
        check_activation(source, quick)
    if not isinstance(weights, Path):
        get = partial(open_clip.download_pretrained, published)
        weights = Path(_fetch(f"the weights {source}", get, f"{architecture}:FILE"))
    preprocessing = {
        "mean": open_clip.OPENAI_DATASET_MEAN,
        "std": open_clip.OPENAI_DATASET_STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    preprocessing |= {key: published[key] for key in preprocessing if key in published}
    config = {
        "model_cfg": open_clip.get_model_config(architecture),
        "preprocess_cfg": preprocessing,
    }
    # Through JSON, so that a saved configuration equals the one in memory.
    return Located(source, json.loads(json.dumps(config)), weights)


def _published(source: Named, tag: str) -> dict[str, Any]:
    """open_clip's entry for a pretrained tag."""
    import open_clip

    architecture = source.architecture
    if published := open_clip.get_pretrained_cfg(architecture, tag):
        return published
    other = sibling(architecture)
    if other and open_clip.is_pretrained_cfg(other, tag):
        raise wrong_architecture(source, other, quick=other.endswith(QUICK))
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if not tags:
        raise UsageError(
            f"open_clip has no pretrained weights of {architecture}: give {architecture}:FILE"
        )
    raise unknown(f"pretrained tag of {architecture}", tag, tags)


def _locate_on_hub(source: OnHub) -> Located:
    from huggingface_hub import hf_hub_download
    from open_clip.pretrained import download_pretrained_from_hf

    repository = source.repository

    def get(file: str) -> str:
        return hf_hub_download(repository, file)

    advice = f"{FOLDER}PATH"
    path = _fetch(f"{source}", lambda: get(CONFIG_FILE), advice)
    config = _config(Path(path), f"{source}")
    quick = registered_as_quick(hub=repository)
    if quick is not None:
        check_config(config, quick, f"{source}", "open_clip's list of pretrained models")
    else:
        with contextlib.suppress(Exception):  # optional; most repositories have none
            quick = activation_beside(Path(get(TRANSFORMERS_CONFIG)))
        check_config(config, quick, f"{source}", TRANSFORMERS_CONFIG)
    # Download here for a clear error message; open_clip then finds the file in the hub's cache.
    weights = _fetch(
        f"the weights of {source}", lambda: download_pretrained_from_hf(repository), advice
    )
    check_size(config, Path(weights), f"{source}")
    return Located(source, config)


def _locate_in_folder(source: InFolder) -> Located:
    folder = source.path
    if not (folder / CONFIG_FILE).is_file():
        if (folder / TRANSFORMERS_CONFIG).is_file():
            return _locate_transformers(source)
        raise _no_model(folder, f"{CONFIG_FILE} is missing")
    there = sorted(p.name for p in folder.iterdir() if p.suffix in WEIGHTS and p.is_file())
    if not there:
        raise _no_model(folder, f"{WEIGHTS_FILE} is missing")
    if len(there) > 1 and not set(there) & set(_KNOWN_WEIGHTS):
        raise RunError(
            f"{folder} holds several files of weights ({', '.join(there)}): "
            f"call the right one {WEIGHTS_FILE}"
        )
    config = _config(folder / CONFIG_FILE, f"model folder {folder}")
    check_config(
        config, activation_beside(folder / TRANSFORMERS_CONFIG), f"{folder}", TRANSFORMERS_CONFIG
    )
    check_size(config, max((folder / n for n in there), key=_size), f"model folder {folder}")
    return Located(source, config)


def _locate_transformers(source: InFolder) -> Located:
    folder = source.path
    weights = next((folder / n for n in WEIGHTS_FILES if (folder / n).is_file()), None)
    if weights is None:
        raise UsageError(
            f"{folder} is a transformers model without {' or '.join(WEIGHTS_FILES)}: save it in "
            "one file, with `save_pretrained(folder, max_shard_size='100GB')`"
        )
    try:
        config = open_clip_config(folder)
    except ErasekitError:
        raise
    except Exception as error:  # transformers raises many types, with multi-line messages
        said = shown(" ".join(str(error).split()))
        raise RunError(f"{_called(source)} cannot be loaded: {said}") from error
    check_size(config, weights, f"model folder {folder}")
    return Located(source, config, weights)


def _size(path: Path) -> int:
    return path.stat().st_size


def _no_model(folder: Path, why: str) -> RunError:
    return RunError(
        f"{folder} is not a model folder of open_clip or transformers: {why}. "
        "Expected what `model/` in a run folder holds"
    )


def _config(path: Path, what: str) -> dict[str, Any]:
    """Read and check an `open_clip_config.json`."""
    config = read_json(path)
    parts = config.get("model_cfg") if isinstance(config, dict) else None
    if not isinstance(parts, dict) or not all(
        isinstance(parts.get(part), dict) for part in ("vision_cfg", "text_cfg")
    ):
        raise RunError(
            f"{what} cannot be loaded: {CONFIG_FILE} has no model_cfg with vision_cfg and text_cfg"
        )
    return config


def _usual_preprocessing(architecture: str) -> dict[str, Any]:
    """The preprocessing of an architecture's published weights; empty if they differ."""
    import open_clip

    found = [
        {key: cfg[key] for key in _PREPROCESSING if key in cfg}
        for tag in open_clip.list_pretrained_tags_by_model(architecture)
        if (cfg := open_clip.get_pretrained_cfg(architecture, tag))
    ]
    return found[0] if found and all(each == found[0] for each in found) else {}


def build(found: Located) -> nn.Module:
    """Build the open_clip model with its weights, on the CPU.

    Weights are read as safetensors or with `torch.load(weights_only=True)`, which cannot run code.

    Raises:
        UsageError: when the activation contradicts the weights.
        RunError: when the configuration or the weights are damaged or do not match.
    """
    import open_clip
    from open_clip.factory import load_state_dict

    source = found.source
    try:
        if found.weights is None:
            return open_clip.create_model(str(source), require_pretrained=True)
        if not isinstance(source, Named):
            return build_converted(found.config, found.weights)
        inside = contents(found.weights)
        check_contents(source, inside)
        model = open_clip.create_model(
            source.architecture,
            pretrained=None if inside.openai else str(found.weights),
            require_pretrained=not inside.openai,
            force_preprocess_cfg=found.config["preprocess_cfg"],
        )
        if inside.openai:
            # open_clip rejects the extra size entries in OpenAI's files, unless they are
            # TorchScript, which contains code and is not loaded here.
            state: Any = load_state_dict(str(found.weights), weights_only=True)
            model.load_state_dict({k: v for k, v in state.items() if k not in OPENAI_SIZES})
        return model
    except UsageError:
        raise
    except Exception as error:  # open_clip raises many types for damaged input
        raise RunError(f"{_called(source)} cannot be loaded: {load_reason(error)}") from error


def build_tokenizer(found: Located) -> Callable[[list[str]], Tensor]:
    """Build the model's tokenizer.

    Raises:
        RunError: when it cannot be downloaded or read, or does not match the model.
    """
    import open_clip

    text = found.config["model_cfg"]["text_cfg"]
    foreign = text.get("hf_tokenizer_name")
    name = found.source.architecture if isinstance(found.source, Named) else str(found.source)
    tokenizer: Any
    # Never run code that comes with a tokenizer, whatever its configuration says.
    options: dict[str, Any] = {"trust_remote_code": False} if foreign else {}
    try:
        if isinstance(found.source, InFolder) and found.weights:  # transformers' form of CLIP
            tokenizer = open_clip.SimpleTokenizer(context_length=text["context_length"])
        else:
            tokenizer = open_clip.get_tokenizer(name, **options)
        one, other = tokenizer(["a red cat"]), tokenizer(["a big dog"])
    except Exception as error:
        what = f"{_called(found.source)} cannot be loaded: its tokenizer"
        if foreign and not isinstance(found.source, InFolder):
            raise RunError(
                f"{what} '{foreign}' could not be fetched: {load_reason(error)}. Without a "
                f"network, give a folder that has it: {FOLDER}PATH"
            ) from error
        raise RunError(f"{what} is missing or damaged: {load_reason(error)}") from error
    size = text.get("vocab_size", _VOCABULARY)
    wrong = ""
    if not foreign and size != getattr(tokenizer, "vocab_size", size):
        wrong = f"has {size} words, and its configuration names no tokenizer of its own"
    elif foreign and "hf_model_name" not in text and int(one.max()) >= size:
        wrong = f"has {size} words, and its tokenizer writes number {int(one.max())}"
    elif one.equal(other):  # without a vocabulary, transformers makes an empty tokenizer
        wrong = "has a tokenizer without a vocabulary"
    if wrong:
        raise RunError(
            f"{_called(found.source)} cannot be loaded: the model {wrong}. Expected beside "
            f"{CONFIG_FILE}, with hf_tokenizer_name in text_cfg: tokenizer.json and "
            "tokenizer_config.json"
        )
    return tokenizer


def _fetch(what: str, get: Callable[[], T], instead: str) -> T:
    """Call `get`, which downloads a file; on failure, raise a `RunError` with an alternative."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return get()
    except Exception as error:  # from the hub, the network or the disk
        why = load_reason(error)
        if isinstance(error, RepositoryNotFoundError):
            why = "there is no such repository, or it is private or gated"
        elif isinstance(error, EntryNotFoundError) and not isinstance(
            error, LocalEntryNotFoundError
        ):
            why = f"its repository has no {CONFIG_FILE}"
        raise RunError(
            f"{what} could not be fetched: {why}. Without a network, give a local copy: {instead}"
        ) from error


def _called(source: ModelName) -> str:
    return f"model folder {source.path}" if isinstance(source, InFolder) else f"model {source}"
