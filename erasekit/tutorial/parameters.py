"""Parameters of a notebook, refused before anything runs if they cannot be meant.

papermill only warns of a name it does not know, takes the word ``false`` for a text, reads
``00000`` as the number 0, and a YAML file's ``1e-4`` as a text. Each would run for minutes and
answer another question than the one asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from erasekit.errors import UsageError, unknown
from erasekit.settings import DECLARED, check

_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
_NUMBER = re.compile(r"([+-]?\d+)(\.\d*)?([eE][+-]?\d+)?")
#: Parameters of names joined by commas, which YAML may give as a list.
_NAMES = ("forget", "forget_languages", "methods", "peers")
#: What papermill's own parameters begin with: the paths that `--inject-paths` gives.
_PAPERMILL = "PAPERMILL_"
#: The parameters of each notebook. Its own cell declares them with type, default and help; this
#: list knows a name that was misspelt there, where no papermill compares it.
NOTEBOOK_PARAMETERS = {
    name: tuple(names.split())
    for name, names in {
        "00_quickstart": "forget concepts train_steps steps seed threads device solve out",
        "01_data": "profile forget forget_languages seed threads device solve out",
        "02_base_model": "profile forget seed threads device solve out",
        "03_forgetting": "profile forget steps seed threads device solve out",
        "04_retention": "profile forget steps retention seed threads device solve out",
        "05_consistency": "profile forget forgetting retention consistency "
        "seed threads device solve out",
        "06_evaluation": "profile forget steps forget_languages method "
        "seed threads device solve out",
        "07_embedding_shift": "profile forget steps method seed threads device solve out",
        "08_is_it_gone": "profile forget forget_languages method oracles "
        "seed threads device solve out",
        "09_methods": "profile forget methods results seed threads device solve out",
        "10_our_method": "profile forget steps retain_batch results seed threads device solve out",
        "11_multimodal_llm": "profile forget peers seed threads device solve out",
        "12_downstream": "profile forget method seed threads device solve out",
        "13_your_own_data": "profile data forget model method seed threads device solve out",
        "14_reproduce_cliperase": "profile data forget model seed seeds threads device solve out",
        "15_deletion_request": "profile forget second seed threads device solve out",
    }.items()
}


def check_names(notebook: str, found: Iterable[str]) -> None:
    """Compare the names in a notebook's parameters cell with those that it has.

    A notebook that is none of the tutorial's may have any.

    Raises:
        UsageError: for a name that it does not have, naming the nearest, or one that is missing.
    """
    known = NOTEBOOK_PARAMETERS.get(notebook)
    if known is None:
        return
    for name in found:
        if name not in known:
            raise unknown(f"parameter of {notebook}", name, known)
    missing = [name for name in known if name not in found]
    if missing:
        raise UsageError(
            f"{notebook}: the parameters cell does not set {missing[0]}. Put its line back"
        )


def check_parameters(
    declared: Mapping[str, str], given: Mapping[str, Any], notebook: str
) -> dict[str, Any]:
    """Compare the given parameters with those that the notebook declares.

    Args:
        declared: type of each parameter by its name: int, float, bool or str.
        given: value of each parameter by its name.
        notebook: its name, for the message.

    Returns:
        the notebook's parameters, with a list of names joined by commas. Papermill's own
        parameters are left out.

    Raises:
        UsageError: for an unknown name, naming the nearest, for a wrong type, and for a setting
            out of its range.
    """
    checked = {}
    for name, value in given.items():
        if name.startswith(_PAPERMILL):
            continue
        if name not in declared:
            raise unknown(f"parameter of {notebook}", name, declared)
        kind = declared[name]
        if isinstance(value, list) and name in _NAMES:
            value = _joined(value, f"{notebook}: {name}")
        if kind in _KINDS and not _fits(value, kind):
            raise UsageError(
                f"{notebook}: {name} = {value!r} must be {_KINDS[kind]}{_mend(value, kind)}"
            )
        if value and name in DECLARED:  # 0 and empty text leave a setting as the profile has it
            check(name, value, f"{notebook}: {name}")
        checked[name] = value
    return checked


def _joined(names: list[Any], shown: str) -> str:
    for name in names:
        if not isinstance(name, str) or "," in name:
            raise UsageError(
                f"{shown} = {names!r} must be a list of names: {name!r} is "
                + ("several; make each an item" if isinstance(name, str) else "none; quote it")
            )
    return ",".join(names)


def _fits(value: Any, kind: str) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "str":
        return isinstance(value, str)
    numbers = int if kind == "int" else (int, float)
    return isinstance(value, numbers) and not isinstance(value, bool)


def _mend(value: Any, kind: str) -> str:
    if kind == "bool" and isinstance(value, str) and value.lower() in ("true", "false"):
        return f": write {value.capitalize()} on the command line, {value.lower()} in YAML"
    if kind in ("int", "float") and isinstance(value, str) and _NUMBER.fullmatch(value):
        # YAML takes an exponent for part of a number only after a point.
        return f": write {_NUMBER.sub(_with_point, value)} without quotes"
    if kind == "str" and isinstance(value, int | float):
        return ": give it by -r in place of -p on the command line, in quotes in YAML"
    return ""


def _with_point(number: re.Match[str]) -> str:
    whole, fraction, exponent = number.groups(default="")
    return whole + (fraction or ".0" if exponent else fraction) + exponent
