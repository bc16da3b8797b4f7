"""Selection of the weights that an erasure may move: parts of a model, or LoRA adapters.

Parts are identified by the parameter names of open_clip and transformers. All other weights stay
bit-identical. Parsing needs no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from erasekit.errors import UsageError, unknown
from erasekit.models.llava_spec import MODULES

if TYPE_CHECKING:
    from torch import nn

#: The final projection, in all of open_clip's tower classes.
_PROJECTION = re.compile(
    r"(visual\.(proj|attnpool\.c_proj|(trunk\.)?head)|(text\.)?(text_projection|proj))(\.|$)"
)
#: A residual block, up to its number, in transformers, ResNets, and towers of timm and
#: the transformers library.
_BLOCK = re.compile(r"(.+\.)?(resblocks|blocks|layers?|layer[1-4])\.\d+(?=\.)")


@dataclass(frozen=True)
class Parts:
    """The parts of a kind of model.

    Attributes:
        holds: for each part, whether it contains a parameter of a given name.
        towers: the parts made of blocks, to which ``last:N`` applies.
    """

    holds: Mapping[str, Callable[[str], object]]
    towers: tuple[str, str]

    def of(self, part: str, names: Iterable[str]) -> list[str]:
        """The names that belong to a part."""
        return [name for name in names if self.holds[part](name)]


def _module(part: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(MODULES[part])


CLIP_PARTS = Parts(
    {
        "all": lambda name: True,
        "image": lambda name: name.startswith("visual."),
        "text": lambda name: not name.startswith(("visual.", "logit_")),
        "projection": _PROJECTION.match,
    },
    towers=("image", "text"),
)
LANGUAGE_PARTS = Parts(
    {"all": lambda name: True, **{part: _module(part) for part in MODULES}},
    towers=("vision", "language"),
)
#: The parts of all kinds of model.
PARTS = tuple(dict.fromkeys([*CLIP_PARTS.holds, *LANGUAGE_PARTS.holds]))


@dataclass(frozen=True)
class Moves:
    """A parsed selection of weights.

    Attributes:
        text: the selection as written, for messages.
        parts: names from `PARTS`.
        last: number of blocks, counted from the end of each tower; 0 for none.
        rank: rank of the LoRA adapters that move instead of the weights; 0 for none.
    """

    text: str
    parts: tuple[str, ...]
    last: int = 0
    rank: int = 0


def parse_moves(text: str, known: Iterable[str] = PARTS) -> Moves:
    """Parse a selection such as ``image``, ``last:2+projection``, ``lora:8`` or ``text+lora:8``.

    Args:
        text: words joined by +.
        known: available parts.

    Raises:
        UsageError: for an unknown part, or an invalid number.
    """
    words = [word.strip() for word in text.split("+")]
    numbers = {"last": 0, "lora": 0}
    parts = []
    for word in words:
        name, sign, number = word.partition(":")
        if words.count(word) > 1 or numbers.get(name):
            raise UsageError(f"moves = {text}: '{name}' occurs twice")
        if name in numbers:
            if not number.isdecimal() or not int(number):
                raise UsageError(f"moves = {text}: write {name}:N, N a whole number above 0")
            numbers[name] = int(number)
        elif sign or name not in known:
            raise unknown("part in moves", word, (*known, "last:N", "lora:R"))
        else:
            parts.append(name)
    if not parts and not numbers["last"]:
        parts = ["all"]
    return Moves(text, tuple(parts), numbers["last"], numbers["lora"])


def moving_names(names: Iterable[str], moves: Moves, parts: Parts = CLIP_PARTS) -> list[str]:
    """The names of a model's parameters that may move, in the given order.

    Raises:
        UsageError: for a part of which this model has no weight; names the parts it has.
    """
    names = list(names)
    found: set[str] = set()
    for part in moves.parts:
        these = parts.of(part, names) if part in parts.holds else []
        if not these:
            there = ", ".join(p for p in parts.holds if parts.of(p, names))
            raise UsageError(f"moves = {moves.text}: this model has no '{part}'; it has {there}")
        found.update(these)
    if moves.last:
        towers = {tower: _blocks(parts.of(tower, names)) for tower in parts.towers}
        if moves.last > max(map(len, towers.values())):
            have = " and ".join(f"{len(blocks)} in {tower}" for tower, blocks in towers.items())
            raise UsageError(f"moves = {moves.text}: this model has fewer blocks ({have})")
        last = {block for blocks in towers.values() for block in blocks[-moves.last :]}
        found.update(name for name in names if _block(name) in last)
    return [name for name in names if name in found]


def in_block(name: str) -> bool:
    """Whether a layer is part of a residual block."""
    return _block(f"{name}.") is not None


def _block(name: str) -> str | None:
    found = _BLOCK.match(name)
    return found and found.group()


def _blocks(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(block for name in names if (block := _block(name))))


def add_adapters(
    model: nn.Module,
    moving: Iterable[str],
    adapts: Callable[[str, nn.Module], bool],
    moves: Moves,
    seed: int,
) -> Any:
    """Add LoRA adapters to layers of `model`, and freeze all other weights.

    Args:
        model: changed in place; it keeps its class.
        moving: names of the parameters that may move; their layers get adapters.
        adapts: function from a layer's name and module to whether it can take an adapter.
        moves: gives the rank.
        seed: seed of the adapters' initial weights.

    Returns:
        the peft model; its `merge_and_unload` merges the adapters into a plain model.

    Raises:
        UsageError: when `peft` is not installed, and when no selected layer can take an adapter.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise UsageError(
            f"moves = {moves.text}: lora needs peft: pip install 'erasekit[scale]'"
        ) from error
    import torch

    moving, layers = list(moving), []
    for name, layer in model.named_modules():
        inside = any(name.startswith(f"{other}.") for other in layers)  # e.g. part of attention
        moves_here = any(parameter.startswith(f"{name}.") for parameter in moving)
        if moves_here and not inside and adapts(name, layer):
            layers.append(name)
    if not layers:
        raise UsageError(f"moves = {moves.text}: no layer there takes an adapter")
    # A pattern, since a bare name would also match the end of a longer one.
    config = LoraConfig(
        r=moves.rank,
        lora_alpha=2 * moves.rank,
        target_modules="|".join(map(re.escape, layers)),
    )
    torch.manual_seed(seed)
    return get_peft_model(model, config)  # type: ignore[arg-type]
