"""Check that a CLIP's activation matches the one its weights were trained with.

Weights do not record QuickGELU: with the wrong activation a model loads and runs, but with worse
results. open_clip only warns, and only for tags; we raise an error whenever the training
activation is known.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from erasekit.errors import UsageError
from erasekit.files import read_json
from erasekit.models.model_name import CONFIG_FILE, FOLDER, PLAIN, QUICK, Named, architectures


def sibling(architecture: str) -> str | None:
    """The same architecture with the other activation, if open_clip has it."""
    short = architecture.removesuffix(QUICK)
    other = short if short != architecture else architecture + QUICK
    return other if other in architectures() else None


def registered_as_quick(*, file: str = "", hub: str = "") -> bool | None:
    """Whether open_clip lists this file or repository with QuickGELU; None if it is unknown."""
    import open_clip

    said = set()
    for architecture, tag in open_clip.list_pretrained():
        published = open_clip.get_pretrained_cfg(architecture, tag)
        url, place = published.get("url", ""), published.get("hf_hub", "")
        if (file and url.endswith(f"/{file}")) or (hub and place.startswith(f"{hub}/")):
            said.add(bool(published.get("quick_gelu")))
    return said.pop() if len(said) == 1 else None


def activation_beside(path: Path | None) -> bool | None:
    """Whether the transformers configuration of a model says QuickGELU; None if it is unknown."""
    if path is None or not path.is_file():
        return None
    config = read_json(path)
    towers = (config.get(part) for part in ("text_config", "vision_config"))
    said = {tower.get("hidden_act") for tower in towers if isinstance(tower, dict)} - {None}
    return said == {"quick_gelu"} if len(said) == 1 else None


def check_config(config: dict[str, Any], quick: bool | None, what: str, witness: str) -> None:
    """Refuse a configuration whose activation differs from that of the weights."""
    model = config["model_cfg"]
    if quick is None or quick == bool(model.get("quick_gelu")):
        return
    rest = {key: value for key, value in model.items() if key != "quick_gelu"}
    wanted = {**rest, "quick_gelu": True} if quick else rest
    import open_clip

    names = (n for n in open_clip.list_models() if open_clip.get_model_config(n) == wanted)
    name = next(names, None)
    raise UsageError(
        f"{what}: {witness} says that its weights were trained with{'' if quick else 'out'} "
        f'QuickGELU, and {CONFIG_FILE} says the opposite: in a local copy, set "quick_gelu": '
        f"{json.dumps(quick)} in model_cfg"
        + (f", which is the architecture {name}" if name else "")
    )


def check_activation(source: Named, quick: bool) -> None:
    """Refuse an architecture whose activation differs from that of its weights."""
    import open_clip

    config = open_clip.get_model_config(source.architecture) or {}
    other = sibling(source.architecture)
    if quick == bool(config.get("quick_gelu")):
        return
    # roberta-ViT-B-32 only exists with QuickGELU, although its tag does not say so.
    if quick or other:
        raise wrong_architecture(source, other, quick)


def wrong_architecture(source: Named, other: str | None, quick: bool) -> UsageError:
    mend = (
        f"use {other}:{source.weights}"
        if other
        else (f"open_clip has no {source.architecture}{QUICK}: give a {FOLDER} folder that says so")
    )
    trained = f"trained with{'' if quick else 'out'} QuickGELU"
    return UsageError(f"the weights of {source} were {trained}: {mend}")


def ask_activation(weights: Path, architecture: str) -> UsageError:
    """The error for weights that fit an architecture both with and without QuickGELU."""
    short = architecture.removesuffix(QUICK)
    return UsageError(
        f"nothing in {weights} says whether it was trained with QuickGELU: write "
        f"{short}{QUICK}:{weights} if it was (as OpenAI's models were), or "
        f"{short}{PLAIN}:{weights} if it was not"
    )
