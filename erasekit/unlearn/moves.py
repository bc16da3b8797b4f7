"""Which weights an erasure may move: parts of a model by name, or adapters beside them.

A part is found by the names that open_clip and transformers give to parameters; what no part
names stays as it is, bit for bit. Reading what was asked needs no torch.
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

#: The final projection of a tower, in every class of tower that open_clip has.
_PROJECTION = re.compile(
    r"(visual\.(proj|attnpool\.c_proj|(trunk\.)?head)|(text\.)?(text_projection|proj))(\.|$)"
)
#: A residual block, up to its number: transformers, ResNets, and towers of timm and transformers.
_BLOCK = re.compile(r"(.+\.)?(resblocks|blocks|layers?|layer[1-4])\.\d+(?=\.)")


@dataclass(frozen=True)
class Parts:
    """The parts of a kind of model.

    Attributes:
        holds: by a part's name, whether it holds the parameter of a name.
        towers: the parts that consist of blocks, which ``last:N`` counts.
    """

    holds: Mapping[str, Callable[[str], object]]
    towers: tuple[str, str]

    def of(self, part: str, names: Iterable[str]) -> list[str]:
        """Those of some parameters' names that a part holds."""
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
#: Every part that some kind of model has.
PARTS = tuple(dict.fromkeys([*CLIP_PARTS.holds, *LANGUAGE_PARTS.holds]))


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


def parse_moves(text: str, known: Iterable[str] = PARTS) -> Moves:
    """Read such as ``image``, ``last:2+projection``, ``lora:8`` or ``text+lora:8``.

    Args:
        text: words joined by +.
        known: the parts that there are.

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
        elif sign or name not in known:
            raise unknown("part in moves", word, (*known, "last:N", "lora:R"))
        else:
            parts.append(name)
    if not parts and not numbers["last"]:
        parts = ["all"]
    return Moves(text, tuple(parts), numbers["last"], numbers["lora"])


def moving_names(names: Iterable[str], moves: Moves, parts: Parts = CLIP_PARTS) -> list[str]:
    """Those of a model's parameter names that may move, in their order.

    Raises:
        UsageError: for a part that this model has no weight of, saying which it has.
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
    """Put LoRA adapters beside layers of `model`, which alone move then.

    Args:
        model: changed in place; its classes stay what they are.
        moving: names of the parameters that may move: their layers get adapters.
        adapts: whether adapters go beside a layer, from its name and itself.
        moves: the rank.
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

    moving, layers = list(moving), []
    for name, layer in model.named_modules():
        inside = any(name.startswith(f"{other}.") for other in layers)  # of attention, as a whole
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
