"""Pictures of a split drawn again: on another background, or in lines alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import resvg_py
import torch
from PIL import Image
from torch import Tensor

from erasekit.data.drawn.concepts import drawing_path
from erasekit.data.drawn.world import World
from erasekit.data.pairs import Pairs
from erasekit.data.worlds import DrawingWorld, Sample

# OpenMoji keeps its colours in groups of their own, apart from the black lines.
_LINES_ALONE = "#color, #hair, #skin, #skin-shadow { display: none }"
_LINES_SIZE = 64


def samples_of(world: DrawingWorld, pairs: Pairs, split: str) -> list[Sample]:
    """The samples that `pairs`, which come from `split`, were rendered from."""
    samples = world.samples(split)
    return [samples[position] for position in pairs.positions]


def on_plain(samples: Sequence[Sample], level: float) -> list[Sample]:
    """The samples on a plain background, from 0 (black) to 1 (white)."""
    return [replace(s, background=np.full_like(s.background, level)) for s in samples]


def cut_out(world: DrawingWorld, samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """The drawings without a background, and how much of one shows through.

    A drawing on black is its own light; in black ink on white it leaves what shows through.
    Both are floats from 0 to 1, shape (n, 3, height, width): light + through · background
    is the picture on any background.
    """
    inked = [replace(s, tints=np.zeros_like(s.tints)) for s in on_plain(samples, 1)]
    return world.render(on_plain(samples, 0)).float() / 255, world.render(inked).float() / 255


class LineWorld(World):
    """The same world with its drawings in black lines; it renders single pictures only."""

    @cached_property
    def _drawings(self) -> dict[str, Tensor]:
        return {"single": torch.stack([line_drawing(c.emoji, _LINES_SIZE) for c in self.concepts])}


def line_drawing(character: str, size: int) -> Tensor:
    """The lines of an emoji's drawing in black: as `world.drawing`, shape (4, size, size)."""
    png = resvg_py.svg_to_bytes(
        svg_path=str(drawing_path(character)),
        width=size,
        height=size,
        skip_system_fonts=True,
        style_sheet=_LINES_ALONE,
    )
    with Image.open(io.BytesIO(png)) as image:
        covered = torch.from_numpy(np.array(image.getchannel("A"))).float() / 255
    return torch.cat([torch.zeros(3, size, size), covered.unsqueeze(0)])
