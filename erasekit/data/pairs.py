"""Pairs of an image and a caption with their concepts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from erasekit.files import sha256_json


@dataclass(frozen=True)
class Pairs:
    """A finite list of pairs, held in memory.

    Attributes:
        images: uint8, shape (n, 3, height, width).
        captions: n strings.
        concepts: indices of the concepts in each pair, in reading order.
        languages: language code of each caption.
        positions: position of each pair in the world's list. It stays the same when other
            pairs are left out, so it identifies a pair across models.
    """

    images: Tensor
    captions: tuple[str, ...]
    concepts: tuple[tuple[int, ...], ...]
    languages: tuple[str, ...]
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.captions)

    def take(self, indices: Sequence[int] | np.ndarray) -> Pairs:
        """Return the pairs at `indices`, in that order."""
        indices = np.asarray(indices, dtype=np.int64)
        return Pairs(
            images=self.images[torch.from_numpy(indices)],
            captions=tuple(self.captions[i] for i in indices),
            concepts=tuple(self.concepts[i] for i in indices),
            languages=tuple(self.languages[i] for i in indices),
            positions=self.positions[indices],
        )

    def where(self, keep: Callable[[tuple[int, ...]], bool]) -> Pairs:
        """Return the pairs whose concepts `keep` accepts."""
        return self.take([i for i, concepts in enumerate(self.concepts) if keep(concepts)])

    def fingerprint(self) -> str:
        """Return a hash of the positions of these pairs in the world's list, in order."""
        return sha256_json(self.positions.tolist())

    @property
    def singles(self) -> Pairs:
        """The pairs with one concept."""
        return self.where(lambda concepts: len(concepts) == 1)

    @property
    def scenes(self) -> Pairs:
        """The pairs with two or more concepts."""
        return self.where(lambda concepts: len(concepts) > 1)

    def first_of_each(self, most: int) -> Pairs:
        """Return the first `most` pairs of each label, in their order."""
        labels = self.labels()
        rows = [np.flatnonzero(labels == label)[:most] for label in np.unique(labels)]
        return self.take(np.sort(np.concatenate(rows)))

    def answers(self) -> Sequence[Hashable]:
        """Return each pair's retrieval target: its set of concepts."""
        return [frozenset(concepts) for concepts in self.concepts]

    def labels(self) -> np.ndarray:
        """Return the first concept of each pair, shape (n,): the label of a single."""
        return np.array([concepts[0] for concepts in self.concepts], dtype=np.int64)


def joined(parts: Sequence[Pairs]) -> Pairs:
    """Concatenate lists of pairs."""
    return Pairs(
        images=torch.cat([part.images[:] for part in parts]),
        captions=tuple(c for part in parts for c in part.captions),
        concepts=tuple(c for part in parts for c in part.concepts),
        languages=tuple(c for part in parts for c in part.languages),
        positions=np.concatenate([part.positions for part in parts]),
    )
