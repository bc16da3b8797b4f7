"""Redraw pictures of a split: on another background, or as line art."""

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

# OpenMoji keeps colours and black lines in separate groups.
_LINES_ALONE = "#color, #hair, #skin, #skin-shadow { display: none }"
_LINES_SIZE = 64


def samples_of(world: DrawingWorld, pairs: Pairs, split: str) -> list[Sample]:
    """Return the samples from which `pairs`, which come from `split`, were rendered."""
    samples = world.samples(split)
    return [samples[position] for position in pairs.positions]


def on_plain(samples: Sequence[Sample], level: float) -> list[Sample]:
    """Return the samples on a plain background, from 0 (black) to 1 (white)."""
    return [replace(s, background=np.full_like(s.background, level)) for s in samples]


def cut_out(world: DrawingWorld, samples: Sequence[Sample]) -> tuple[Tensor, Tensor]:
    """Return the drawings without background (light), and their transparency (through).

    The light is the drawing on black; the transparency is the drawing in black ink on white.
    Both are floats from 0 to 1, shape (n, 3, height, width): light + through ·
    background is the picture on any background.
    """
    inked = [replace(s, tints=np.zeros_like(s.tints)) for s in on_plain(samples, 1)]
    return world.render(on_plain(samples, 0)).float() / 255, world.render(inked).float() / 255


class LineWorld(World):
    """The same world with drawings as black lines; renders single pictures only."""

    @cached_property
    def _drawings(self) -> dict[str, Tensor]:
        return {"single": torch.stack([line_drawing(c.emoji, _LINES_SIZE) for c in self.concepts])}


def line_drawing(character: str, size: int) -> Tensor:
    """Return the black lines of an emoji's drawing, in the format of `world.drawing`."""
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
