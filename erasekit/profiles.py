"""What each profile sets apart from the defaults of `settings.Settings`, and nothing else."""

from __future__ import annotations

from typing import Any

from erasekit.errors import UsageError

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
    # that data_scripts/ wrote. What they leave open is listed in tutorial/reproduction.yaml, which
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


#: What a folder of one's own pairs sets apart: a published CLIP, and CLIPErase's own learning rate
#: and batch for it, as reported in secondary notes on the paper.
FOLDER: dict[str, Any] = {
    "model": "ViT-B-32-quickgelu",
    "pretrained": "openai",
    "steps": 500,
    "forget_batch": 16,
    "retain_batch": 16,
    "learning_rate": 1e-6,
}

#: What a CLIP that is trained on a folder of photographs sets apart.
FOLDER_TRAINED: dict[str, Any] = {"model": "erasekit-medium", "train_steps": 800}

#: What a multimodal language model sets apart, in each profile that has one.
LANGUAGE: dict[str, dict[str, Any]] = {
    "default": {
        "method": "mmunlearner",
        "steps": 160,
        "forget_batch": 16,
        "retain_batch": 64,
        "learning_rate": 4e-4,
    },
    "smoke": {
        "method": "mmunlearner",
        "language_steps": 500,
        "steps": 60,
        "forget_batch": 8,
        "retain_batch": 24,
        "text_batch": 8,
        "learning_rate": 3e-4,
    },
}


def clip_defaults(profile: str, *, folder: bool, train: bool) -> dict[str, Any]:
    """What a profile sets apart for a CLIP.

    Args:
        folder: whether the data are a folder.
        train: whether the CLIP is trained on it.

    Raises:
        UsageError: for profile ``paper`` without a folder, or with a CLIP that is trained.
    """
    own = PROFILES[profile]
    if profile == "paper" and (train or not folder):
        raise UsageError(
            "profile 'paper' needs pretrained weights and one of the papers' data sets: give "
            "data=folder:PATH as data_scripts/ write it, without train, or take profile 'default'"
        )
    if not folder:
        return dict(own)
    if train:
        return {**FOLDER_TRAINED, **own}
    return {**FOLDER, **own} if profile == "paper" else {**own, **FOLDER}
