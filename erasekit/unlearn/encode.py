"""Encoding of pairs by a CLIP: in pieces, split among processes, or cached for a frozen model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from erasekit import processes
from erasekit.data.pairs import Pairs
from erasekit.device import autocast
from erasekit.errors import unknown
from erasekit.models.clip import Clip
from erasekit.models.text_features import encode_text
from erasekit.unlearn.method import Features

Tower = Callable[[Tensor], Tensor]
Piece = TypeVar("Piece")
Made = TypeVar("Made")


class FrozenFeatures:
    """Cache of the normalised features of a fixed list of pairs under a frozen model."""

    def __init__(self, clip: Clip, pairs: Pairs) -> None:
        self._clip = clip
        self._pairs = pairs
        self._images: Tensor | None = None
        self._texts: Tensor | None = None
        self._known = torch.zeros(len(pairs), dtype=torch.bool)

    def require(self, indices: np.ndarray) -> None:
        """Compute the missing features of the pairs at `indices`, in few large batches."""
        wanted = np.unique(indices)
        missing = wanted[~self._known[torch.from_numpy(wanted)].numpy()]
        if not len(missing):
            return
        part = self._pairs.take(missing)
        image = self._clip.encode_images(part.images)
        text = self._clip.encode_texts(part.captions)
        if self._images is None or self._texts is None:
            self._images = image.new_zeros(len(self._pairs), image.shape[1])
            self._texts = torch.zeros_like(self._images)
        rows = torch.from_numpy(missing)
        self._images[rows], self._texts[rows] = image, text
        self._known[rows] = True

    def at(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Image and text features of the pairs at `indices`, on the model's device."""
        self.require(indices)
        assert self._images is not None and self._texts is not None
        rows = torch.from_numpy(indices)
        device = self._clip.device
        return self._images[rows].to(device), self._texts[rows].to(device)


def encode(
    clip: Clip,
    images: Tensor,
    tokens: Tensor,
    precision: str,
    *,
    micro_batch: int = 0,
    noise: float = 0.0,
    noised: int = 0,
    key: tuple[int, ...] = (),
    towers: tuple[Tower, Tower] | None = None,
) -> Features:
    """Differentiable float32 features of pairs, with one pass through each tower.

    Processes that share an erasure split the rows, and each receives all features.

    Args:
        images: uint8 pictures, shape (n, 3, h, w).
        tokens: tokens of their captions.
        precision: precision of the passes.
        micro_batch: see `features_of`.
        noise: standard deviation of Gaussian noise on the preprocessed pictures; 0 for none.
        noised: number of pictures, from the first, that are also encoded with noise.
        key: seed of the noise.
        towers: image and text tower from `towers_of`; by default, they are made here.
    """
    of_image, of_text = towers or towers_of(clip.model)
    pixels = clip.preprocess(images)
    n, extra, length = len(pixels), None, None
    if noise:
        rng = np.random.default_rng(key)
        drawn = rng.standard_normal(pixels[:noised].shape, dtype=np.float32) * np.float32(noise)
        added = torch.from_numpy(drawn).to(pixels.device)
        length = added.flatten(1).norm(dim=1)
        pixels = torch.cat([pixels, pixels[:noised] + added])
    with autocast(clip.device, precision):
        image = features_of(of_image, processes.share(pixels), micro_batch)
        text = features_of(of_text, processes.share(tokens), micro_batch)
    image = processes.gather(image.float(), len(pixels))
    text = processes.gather(text.float(), len(tokens))
    if noise:
        image, extra = image[:n], image[n:]
    return Features(
        image,
        text,
        clip.model.logit_scale.exp(),
        noised_image=extra,
        noise_norm=length,
    )


def towers_of(model: Any, backend: str = "") -> tuple[Tower, Tower]:
    """The image and text tower of an open_clip model, as functions from rows to features.

    Args:
        backend: torch.compile backend for both towers; empty for none.

    Raises:
        UsageError: for a backend that is not installed; suggests the nearest.
    """
    if not backend:
        return model.encode_image, partial(encode_text, model)
    known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise unknown("backend of torch.compile", backend, known)
    # Whole rows: each new length would be compiled anew.
    towers = (model.encode_image, model.encode_text)
    image, text = (torch.compile(tower, backend=backend) for tower in towers)
    return image, text


def features_of(tower: Tower, rows: Tensor, micro_batch: int = 0) -> Tensor:
    """A tower's features of pictures or tokens, shape (n, d).

    Features do not depend on `micro_batch`, because batch statistics are frozen. A contrastive
    loss therefore always covers the whole batch.

    Args:
        tower: function from rows to features.
        rows: pictures or tokens of the batch.
        micro_batch: number of rows per piece; 0 for all at once.
    """
    if not 0 < micro_batch < len(rows):
        return tower(rows)
    return torch.cat(in_pieces(tower, rows.split(micro_batch)))


def in_pieces(compute: Callable[[Piece], Made], pieces: Sequence[Piece]) -> list[Made]:
    """Apply `compute` to each piece of a batch, with the activation memory of one piece.

    Only results are kept; the backward pass recomputes the activations, at the cost of one more
    forward pass (gradient caching, Gao et al., arXiv 2101.06983).
    """
    if len(pieces) == 1:
        return [compute(pieces[0])]
    # The models draw no random numbers, so the state of the generators need not be kept.
    return [
        checkpoint(compute, piece, use_reentrant=False, preserve_rng_state=False)  # type: ignore[misc]
        for piece in pieces
    ]
