"""The parameters of the tiny experiment, for tests that start processes of their own."""

from __future__ import annotations

from typing import Any

#: The least that still trains, erases and is measured: a second or two in all.
TINY: dict[str, Any] = {
    "concepts": 8,
    "pictures": 4,
    "scenes": 4,
    "held_out_pictures": 3,
    "train_steps": 4,
    "train_batch": 8,
    "forget_batch": 4,
    "retain_batch": 6,
    "steps": 3,
    "draws": 20,
    "threads": 1,
}

#: The same of a language model on that CLIP.
TINY_LANGUAGE: dict[str, Any] = {
    **TINY,
    "language_steps": 3,
    "steps": 4,
    "text_batch": 4,
    "learning_rate": 1e-3,
}
