"""Profiles: the values that differ from the defaults of `settings.Settings`."""

from __future__ import annotations

from typing import Any

from erasekit.errors import UsageError

#: The values of each profile that differ from the defaults of `Settings`.
PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "smoke": {
        "concepts": 16,
        "pictures": 24,
        "scenes": 16,
        "held_out_pictures": 9,
        "train_steps": 120,
        "train_batch": 64,
        "train_optimizer": "adamw",  # with small batches, a step of Muon costs what it saves
        # A small world is damaged easily, so steps are smaller than by default (chosen on
        # validation).
        "steps": 48,
        "forget_batch": 8,
        "retain_batch": 40,
        "learning_rate": 5e-4,
        "draws": 100,
    },
    # A world whose model trains in about a minute, so that every method can be compared with
    # three oracles on eight tasks. It has many scenes, so that the oracle has enough data.
    "benchmark": {
        "concepts": 40,
        "pictures": 40,
        "scenes": 60,
        "languages": "en,ja",
        "image_size": 40,
        "train_steps": 400,
        "train_batch": 96,
        "train_optimizer": "adamw",  # the records were made with it
        "steps": 50,
        "forget_batch": 12,
        "retain_batch": 60,
        "learning_rate": 5e-4,
        "draws": 20,
        "threads": 1,
    },
    # CLIPErase's published settings from secondary notes on the paper, for a folder written by
    # data_scripts/. tutorial/reproduction.yaml lists what the notes leave open and the paper's
    # backbone; the model here is the small default for folders.
    "paper": {
        "method": "cliperase",
        "model": "ViT-B-32-quickgelu",
        "pretrained": "openai",
        "epochs": 20,
        "forget_batch": 16,
        "retain_batch": 16,
        "learning_rate": 1e-6,
        # High limits, so that sets are not truncated as far as memory allows.
        "most_pairs": 200_000,
        "judged_pairs": 10_000,
        "gallery": 5_000,
    },
}


#: Defaults for a folder: a published CLIP, and CLIPErase's learning rate and batch size for it,
#: as reported in secondary notes on the paper.
FOLDER: dict[str, Any] = {
    "model": "ViT-B-32-quickgelu",
    "pretrained": "openai",
    "steps": 500,
    "forget_batch": 16,
    "retain_batch": 16,
    "learning_rate": 1e-6,
}

#: Defaults for a CLIP that is trained on a folder of photographs.
FOLDER_TRAINED: dict[str, Any] = {"model": "erasekit-medium", "train_steps": 800}

#: Defaults for a multimodal language model, in each profile that has one.
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
    """The values of a profile for a CLIP that differ from the defaults of `Settings`.

    Args:
        folder: whether the data are a folder.
        train: whether the CLIP is trained on the folder.

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
