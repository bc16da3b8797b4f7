"""Every parameter of a run, its default in each profile, and its checks.

Nothing here needs torch: the command line checks what it was given before anything
heavy is imported. A profile is a set of defaults and nothing else; each single value
can still be given.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from erasekit.errors import UsageError, unknown

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")

#: What each profile sets apart from the defaults of `Settings`.
PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "smoke": {
        "concepts": 16,
        "pictures": 24,
        "scenes": 16,
        "held_out_pictures": 9,
        "train_steps": 120,
        "train_batch": 64,
        # A small world tears easily: gentler steps than the default's, chosen on validation.
        "steps": 48,
        "forget_batch": 8,
        "retain_batch": 40,
        "learning_rate": 5e-4,
        "draws": 100,
    },
    # A world whose model trains in about a minute, so that every method can be held against
    # three oracles on eight tasks. Many scenes: an oracle must not lack for them.
    "benchmark": {
        "concepts": 40,
        "pictures": 40,
        "scenes": 60,
        "languages": "en,ja",
        "image_size": 40,
        "train_steps": 400,
        "train_batch": 96,
        "steps": 50,
        "forget_batch": 12,
        "retain_batch": 60,
        "learning_rate": 5e-4,
        "draws": 20,
        "threads": 1,
    },
    # CLIPErase's published set-up, as far as secondary notes on the paper tell it; for a folder
    # that data_scripts/ wrote. What they leave open is listed in runs/reproduction.yaml, which
    # names the paper's own backbone too: this one is the small one that folders start from.
    "paper": {
        "method": "cliperase",
        "model": "ViT-B-32-quickgelu",
        "pretrained": "openai",
        "epochs": 20,
        "forget_batch": 16,
        "retain_batch": 16,
        "learning_rate": 1e-6,
        # No set is cut short, as far as memory allows.
        "most_pairs": 200_000,
        "judged_pairs": 10_000,
        "gallery": 5_000,
    },
}


# What a folder of one's own pairs sets apart: a published CLIP, and CLIPErase's own learning rate
# and batch for it, as reported in secondary notes on the paper.
_FOLDER: dict[str, Any] = {
    "model": "ViT-B-32-quickgelu",
    "pretrained": "openai",
    "steps": 500,
    "forget_batch": 16,
    "retain_batch": 16,
    "learning_rate": 1e-6,
}


@dataclass(frozen=True)
class Settings:
    """All parameters of an experiment as they take effect."""

    profile: str = "default"  #: set of defaults: default, smoke, benchmark or paper
    data: str = "openmoji"  #: the world, or folder:PATH
    forget: str = "fruit"  #: concepts, groups or attributes to forget, joined by commas
    forget_languages: str = ""  #: caption languages in the forget set, joined by commas; empty: all
    method: str = "cliperase"  #: unlearning method
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  #: of the method
    # the world
    concepts: int = 65
    pictures: int = 30
    scenes: int = 30
    held_out_pictures: int = 12
    languages: str = "en,ja,ru,ar"
    image_size: int = 48
    world_seed: int = 0
    # your own folder
    skip_bad: bool = False  #: leave rows with a problem out
    most_pairs: int = 20_000  #: of each set, that an erasure may read
    judged_pairs: int = 1_000  #: of each set, in validation and in test
    templates: str = "a photo of a {}"  #: for names, joined by |
    # the original: a configuration that is trained here, or any CLIP that open_clip loads
    model: str = "erasekit-small"
    pretrained: str = ""  #: tag of its weights; empty for what is trained here, and for folders
    oracle_model: str = ""  #: of a CLIP that is not trained here: one that never saw the forget set
    train_steps: int = 700
    train_batch: int = 128
    train_learning_rate: float = 2e-3
    # erasing
    steps: int = 70
    epochs: float = 0.0  #: of the retain set; above 0 they count, and `steps` does not
    forget_batch: int = 12
    retain_batch: int = 84
    learning_rate: float = 1e-3
    stop_at: float = -1.0
    micro_batch: int = 0  #: pairs in the towers at once; 0: all; the same gradient either way
    moves: str = "all"  #: all, image, text, projection, last:N, lora:R; joined by +
    salient: float = 0.0  #: least ratio of squared gradients, forget to retain, that moves; 0: off
    compile: str = ""  #: backend of torch.compile, such as inductor; empty: off
    # evaluation
    draws: int = 1000
    gallery: int = 200  #: pairs among which one is retrieved, at most
    # how to compute
    seed: int = 0
    threads: int = 2
    device: str = "auto"
    precision: str = "auto"
    trackers: str = ""  #: of `accelerate`, joined by commas, such as tensorboard; each step's terms

    def __post_init__(self) -> None:
        one_of("device", self.device, DEVICES)
        one_of("precision", self.precision, PRECISIONS)
        least_of = {"draws": 1, "seed": 0, "threads": 1, "epochs": 0, "gallery": 1}
        for name, least in least_of.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} = {getattr(self, name)}: must be at least {least}")


def one_of(kind: str, value: str, choices: Collection[str]) -> None:
    """Raise a `UsageError` that lists the few choices, unless `value` is one of them."""
    if value not in choices:
        raise UsageError(f"unknown {kind} '{value}': one of {', '.join(choices)}")


_TYPES = {f.name: f.type for f in dataclasses.fields(Settings)}


def make_settings(profile: str = "default", **given: Any) -> Settings:
    """Settings of a profile with single values replaced.

    Values of ``None`` are taken as not given. Numbers may come as strings.

    Raises:
        UsageError: for an unknown profile or parameter, naming the nearest, and for a
            value of the wrong type.
    """
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    for name in given:
        if name not in _TYPES:
            raise unknown("parameter", name, _TYPES)
    given = {k: v for k, v in given.items() if v is not None}
    folder = str(given.get("data", "")).startswith("folder:")
    if profile == "paper" and not folder:
        raise UsageError(
            "profile 'paper' needs pretrained weights and one of the papers' data sets: give "
            "data=folder:PATH as data_scripts/ write it, or take profile 'default'"
        )
    defaults = {**PROFILES[profile], **(_FOLDER if folder else {})}
    if profile == "paper":
        defaults |= PROFILES[profile]
    if "model" in given:  # a tag belongs to one model: who names another brings its own
        defaults.pop("pretrained", None)
    if "steps" in given:
        defaults.pop("epochs", None)
    return Settings(profile=profile, **{k: _typed(k, v) for k, v in {**defaults, **given}.items()})


def _typed(name: str, value: Any) -> Any:
    hint = typing.get_type_hints(Settings)[name]
    if name == "options":
        if not isinstance(value, Mapping):
            raise UsageError(f"options = {value!r} must be a mapping of option to value")
        return dict(value)
    if hint is str and isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    if hint is bool:
        words = {"true": True, "false": False}
        value = words.get(value.lower(), value) if isinstance(value, str) else value
        if not isinstance(value, bool):
            raise UsageError(f"{name} = {value!r} must be true or false")
        return value
    try:
        if isinstance(value, bool) or (hint is not str and isinstance(value, str) and not value):
            raise ValueError
        typed = hint(value)
        if hint is str and not isinstance(value, str):
            raise ValueError
        if hint is int and typed != float(value):
            raise ValueError
        if isinstance(typed, float) and not math.isfinite(typed):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        kind = {int: "a whole number", float: "a number", str: "text"}[hint]
        raise UsageError(f"{name} = {value!r} must be {kind}") from None
    return typed
