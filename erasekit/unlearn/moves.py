"""Which weights an erasure may move: parts of a CLIP by name, or adapters beside them.

A part is found by the names that open_clip gives to parameters; what no part names stays as
it is, bit for bit. Reading what was asked needs no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from erasekit.errors import UsageError, unknown

if TYPE_CHECKING:
    from torch import nn

PARTS = ("all", "image", "text", "projection")
#: The final projection of a tower, in every class of tower that open_clip has.
_PROJECTION = re.compile(
    r"(visual\.(proj|attnpool\.c_proj|(trunk\.)?head)|(text\.)?(text_projection|proj))(\.|$)"
)
#: A residual block, up to its number: transformers, ResNets, and towers of timm and transformers.
_BLOCK = re.compile(r"(.+\.)?(resblocks|blocks|layers?|layer[1-4])\.\d+(?=\.)")


@dataclass(frozen=True)
class Moves:
    """What may move, as it was asked.

    Attributes:
        text: as it was written, for messages.
        parts: of `PARTS`.
        last: how many blocks, counted from the end of each tower; 0 for none.
        rank: of the adapters that move in place of the weights (LoRA); 0 for none.
    """

    text: str
    parts: tuple[str, ...]
    last: int = 0
    rank: int = 0


def parse_moves(text: str) -> Moves:
    """Read such as ``image``, ``last:2+projection``, ``lora:8`` or ``text+lora:8``.

    Raises:
        UsageError: for a part that does not exist, or a number that is none.
    """
    words = [word.strip() for word in text.split("+")]
    numbers = {"last": 0, "lora": 0}
    parts = []
    for word in words:
        name, sign, number = word.partition(":")
        if words.count(word) > 1 or numbers.get(name):
            raise UsageError(f"moves = {text}: '{name}' is there twice")
        if name in numbers:
            if not number.isdecimal() or not int(number):
                raise UsageError(f"moves = {text}: write {name}:N, N a whole number above 0")
            numbers[name] = int(number)
        elif sign or name not in PARTS:
            raise unknown("part in moves", word, (*PARTS, "last:N", "lora:R"))
        else:
            parts.append(name)
    if not parts and not numbers["last"]:
        parts = ["all"]
    return Moves(text, tuple(parts), numbers["last"], numbers["lora"])


def moving_names(names: Iterable[str], moves: Moves) -> list[str]:
    """Those of a model's parameter names that may move, in their order.

    Raises:
        UsageError: for a part that this model has no weight of, saying which it has.
    """
    names = list(names)
    found: set[str] = set()
    for part in moves.parts:
        these = _part(names, part)
        if not these:
            there = ", ".join(p for p in PARTS if _part(names, p))
            raise UsageError(f"moves = {moves.text}: this model has no '{part}'; it has {there}")
        found.update(these)
    if moves.last:
        towers = {tower: _blocks(_part(names, tower)) for tower in ("image", "text")}
        if moves.last > max(map(len, towers.values())):
            have = " and ".join(f"{len(blocks)} in {tower}" for tower, blocks in towers.items())
            raise UsageError(f"moves = {moves.text}: this model has fewer blocks ({have})")
        last = {block for blocks in towers.values() for block in blocks[-moves.last :]}
        found.update(name for name in names if _block(name) in last)
    return [name for name in names if name in found]


def _part(names: Iterable[str], part: str) -> list[str]:
    holds = {
        "all": lambda name: True,
        "image": lambda name: name.startswith("visual."),
        "text": lambda name: not name.startswith(("visual.", "logit_")),
        "projection": _PROJECTION.match,
    }[part]
    return [name for name in names if holds(name)]


def _block(name: str) -> str | None:
    found = _BLOCK.match(name)
    return found and found.group()


def _blocks(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(block for name in names if (block := _block(name))))


def add_adapters(model: nn.Module, moves: Moves, seed: int) -> Any:
    """Put LoRA adapters into the blocks of `model`, which alone move then.

    They go beside attention and linear layers; a ResNet's blocks have none, so that they go
    beside its convolutions there. Layers outside of the blocks have none.

    Args:
        model: changed in place; its classes stay what they are.
        moves: the rank, and the parts whose blocks get adapters.
        seed: of the adapters' first weights.

    Returns:
        what holds them; its `merge_and_unload` makes the model a plain one again.

    Raises:
        UsageError: without `peft`, and when those parts have no such layer.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise UsageError(
            f"moves = {moves.text}: lora needs peft: pip install 'erasekit[scale]'"
        ) from error
    import torch

    layers = _adapted(model, moves)
    if not layers:
        raise UsageError(f"moves = {moves.text}: there is no layer in a block for an adapter")
    # A pattern, since a bare name would also match the end of a longer one.
    config = LoraConfig(
        r=moves.rank,
        lora_alpha=2 * moves.rank,
        target_modules="|".join(map(re.escape, layers)),
    )
    torch.manual_seed(seed)
    return get_peft_model(model, config)  # type: ignore[arg-type]


def _adapted(model: nn.Module, moves: Moves) -> list[str]:
    from torch import nn

    moving = moving_names(dict(model.named_parameters()), moves)
    found: list[str] = []
    for name, layer in model.named_modules():
        fits = isinstance(layer, (nn.Linear, nn.MultiheadAttention)) or (
            isinstance(layer, nn.Conv2d) and layer.groups == 1
        )
        inside = any(name.startswith(f"{other}.") for other in found)  # of attention, as a whole
        moves_here = any(parameter.startswith(f"{name}.") for parameter in moving)
        if fits and moves_here and not inside and _block(f"{name}."):
            found.append(name)
    return found
