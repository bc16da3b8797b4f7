"""Validation of values and files against declared types and ranges; without torch.

pydantic does the validation. Errors are one line that names the value and what it must be.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from erasekit.errors import RunError, UsageError
from erasekit.files import read_json
from erasekit.text import shown

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    dict: "a mapping of names to values",
}


def checked(name: str, value: Any, hint: Any) -> Any:
    """Convert `value` to the type `hint`; accepts numbers and truth values as text.

    Args:
        name: name of the value, for the message.
        value: the value to check.
        hint: a type such as ``float``, a ``Literal``, or ``Annotated`` with pydantic's bounds.

    Raises:
        UsageError: names the value and what it must be.
    """
    kind = base_type(hint)
    plain = isinstance(value, bool) or str(value).lower() in ("true", "false")
    if plain is not (kind is bool) and kind in (bool, int, float):  # stricter than pydantic
        raise _refused(name, value, _WORDS[kind])
    try:
        return adapter(hint).validate_python(value)
    except ValidationError as error:
        raise _refused(name, value, _wanted(hint, error)) from None


def read_record(path: Path, what: str, version: int, hint: Any) -> Any:
    """Read a JSON file of a known version as the dataclass `hint`.

    Args:
        what: description of the file for the message, such as ``a scorecard``.

    Raises:
        RunError: when the file is missing, damaged, of another version, or holds a value of
            another type; names the value.
    """
    value = read_json(path)
    if not isinstance(value, dict) or "version" not in value:
        raise RunError(f"{path} is not {what}: it has no version")
    if value["version"] != version:
        raise RunError(f"{path} has version {shown(repr(value['version']))}: this reads {version}")
    try:
        return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        given = "" if fault["type"] == "missing" else f", not {shown(repr(fault['input']))}"
        raise RunError(f"{path} is not {what}: {place}: {fault['msg']}{given}") from None


def base_type(hint: Any) -> Any:
    """The type under ``Annotated`` and type parameters; ``Literal`` itself for choices."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return typing.get_origin(hint) or hint


def choices(hint: Any) -> tuple[str, ...]:
    """The values of a ``Literal``; empty for any other type."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def bound_words(bounds: Mapping[str, Any]) -> str:
    """Bounds in words, such as ``0 or more``, from pydantic's names ge, gt, le and lt."""
    words = []
    for name, form in (("ge", "at least {:g}"), ("gt", "above {:g}"), ("le", "at most {:g}")):
        if (bound := bounds.get(name)) is not None:
            words.append("0 or more" if (name, bound) == ("ge", 0) else form.format(bound))
    return ", and ".join(words)


@cache
def adapter(hint: Any) -> TypeAdapter[Any]:
    """The cached pydantic `TypeAdapter` of a type."""
    return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False))


def _wanted(hint: Any, error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    if fault["type"] == "finite_number" and base_type(hint) is float:
        return "a number, and finite"
    if allowed := choices(hint):
        return f"one of {', '.join(map(str, allowed))}"
    return bound_words(fault.get("ctx", {})) or _WORDS.get(base_type(hint), fault["msg"])


def _refused(name: str, value: Any, wanted: str) -> UsageError:
    return UsageError(f"{name} = {value!r} must be {wanted}")
