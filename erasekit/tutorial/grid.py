"""A grid of notebook parameters: from the command line or YAML, to the parameters of each run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from erasekit.errors import UsageError, reason, unknown
from erasekit.tutorial.parameters import check_parameters

#: A larger grid is a slip of the pen.
MOST_RUNS = 100_000
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_READ = {"int": int, "float": float}
_SWITCH = {"true": True, "false": False}


def read_words(words: Sequence[str], option: str) -> dict[str, list[str]]:
    """Values by name of words such as ``forget=fruit,bird``.

    Raises:
        UsageError: for a word of another form, and for a name given twice.
    """
    found: dict[str, list[str]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        values = text.split(",")
        if not (name and equals and all(values)):
            raise UsageError(f"{option} {word}: write NAME=VALUE,VALUE such as forget=fruit,bird")
        if name in found:
            raise UsageError(f"{option} {word}: {name} is given twice; join its values by commas")
        found[name] = values
    return found


def read_yaml(path: Path | None) -> dict[str, list[Any]]:
    """Values by name from a file: a mapping of names to a value or a list of values.

    Raises:
        UsageError: when the file cannot be read, or is no such mapping.
    """
    if path is None:
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the grid {path}: {reason(error)}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"the grid {path} is not YAML: {reason(error)}") from error
    if not isinstance(found, dict) or [] in found.values():
        raise UsageError(f"the grid {path} must map names to values, as in `seed: [0, 1]`")
    return {str(k): v if isinstance(v, list) else [v] for k, v in found.items()}


def typed(
    grid: Mapping[str, Sequence[Any]], declared: Mapping[str, str], notebook: str
) -> dict[str, list[Any]]:
    """The grid with its texts read as the notebook declares them, ranges such as ``0..4`` too.

    Raises:
        UsageError: for an unknown name, and for a value that cannot be meant.
    """
    found = {}
    for name, values in grid.items():
        if name not in declared:
            raise unknown(f"parameter of {notebook}", name, declared)
        if name == "out":
            raise UsageError("out is not for a grid: each run has its own folder in --out")
        read: list[Any] = []
        for value in values:
            read += _read(value, declared[name]) if isinstance(value, str) else [value]
            if len(read) > MOST_RUNS:
                raise UsageError(f"{name} has more than {MOST_RUNS:,} values")
        checked = [check_parameters(declared, {name: value}, notebook)[name] for value in read]
        found[name] = [one for at, one in enumerate(checked) if one not in checked[:at]]
    return found


def _read(text: str, kind: str) -> Sequence[Any]:
    if kind == "int" and (ends := _RANGE.fullmatch(text)):
        first, last = map(int, ends.groups())
        return range(first, last + 1) if last - first <= MOST_RUNS else range(MOST_RUNS + 1)
    try:
        value = _READ[kind](text) if kind in _READ else _SWITCH.get(text.lower(), text)
    except ValueError:
        value = text  # which the check refuses in its words
    return [text if kind == "str" else value]


def expand(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The parameters of each run, the last name running fastest.

    Raises:
        UsageError: for more than `MOST_RUNS`.
    """
    if (count := math.prod(map(len, grid.values()))) > MOST_RUNS:
        raise UsageError(f"the grid has {count:,} runs, and at most {MOST_RUNS:,} are taken")
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def agrees(parameters: Mapping[str, Any], where: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a run has one of the wanted values of each name."""
    return all(parameters.get(name) in values for name, values in where.items())
